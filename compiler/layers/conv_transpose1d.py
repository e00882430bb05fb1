"""ConvTranspose1d: a transposed convolution of sequences with channels."""

from __future__ import annotations

from typing import ClassVar

from .transposed_convolution import TransposedConvolution


class ConvTranspose1d(TransposedConvolution):
    """`ConvTranspose1d(features, kernel)` (Zeiler et al. 2010): [B, C, T] -> [B, features, T'].

    Each length L becomes `(L - 1) * stride - 2 * pad + dilation * (kernel - 1) + out_pad + 1`: it undoes what a Conv1d
    with the same options does to lengths. `kernel`, `stride`, `pad`, `out_pad` and `dilation` may be lists with one
    number an axis. `groups` parts channels and features; `init` is how the kernels begin, as for a Linear.
    """

    word: ClassVar[str] = "ConvTranspose1d"
    example: ClassVar[str] = "ConvTranspose1d(32, kernel = 4, stride = 2, pad = 1)"
    example_input: ClassVar[str] = "[B, 16, T]"
    axes: ClassVar[int] = 1
