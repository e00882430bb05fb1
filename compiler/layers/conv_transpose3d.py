"""ConvTranspose3d: a transposed convolution of volumes."""

from __future__ import annotations

from typing import ClassVar

from .transposed_convolution import TransposedConvolution


class ConvTranspose3d(TransposedConvolution):
    """`ConvTranspose3d(features, kernel)` (Zeiler et al. 2010): [B, C, D, H, W] -> [B, features, D', H', W'].

    Each length L becomes `(L - 1) * stride - 2 * pad + dilation * (kernel - 1) + out_pad + 1`: it undoes what a Conv3d
    with the same options does to lengths. `kernel`, `stride`, `pad`, `out_pad` and `dilation` may be lists with one
    number an axis. `groups` parts channels and features; `init` is how the kernels begin, as for a Linear.
    """

    word: ClassVar[str] = "ConvTranspose3d"
    example: ClassVar[str] = "ConvTranspose3d(32, kernel = 3, stride = [1, 2, 2], pad = 1, out_pad = [0, 1, 1])"
    example_input: ClassVar[str] = "[B, 8, T, H, W]"
    axes: ClassVar[int] = 3
