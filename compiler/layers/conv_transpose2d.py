"""ConvTranspose2d: a transposed convolution of pictures."""

from __future__ import annotations

from typing import ClassVar

from .transposed_convolution import TransposedConvolution


class ConvTranspose2d(TransposedConvolution):
    """`ConvTranspose2d(features, kernel)` (Zeiler et al. 2010): [B, C, H, W] -> [B, features, H', W'].

    Each length L becomes `(L - 1) * stride - 2 * pad + dilation * (kernel - 1) + out_pad + 1`: it undoes what a Conv2d
    with the same options does to lengths. `kernel`, `stride`, `pad`, `out_pad` and `dilation` may be lists with one
    number an axis. `groups` parts channels and features; `init` is how the kernels begin, as for a Linear.
    """

    word: ClassVar[str] = "ConvTranspose2d"
    example: ClassVar[str] = "ConvTranspose2d(32, kernel = 4, stride = 2, pad = 1)"
    example_input: ClassVar[str] = "[B, 16, H, W]"
    axes: ClassVar[int] = 2
