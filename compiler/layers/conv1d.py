"""Conv1d: a convolution of sequences with channels."""

from __future__ import annotations

from typing import ClassVar

from .convolution import Convolution


class Conv1d(Convolution):
    """`Conv1d(features, kernel)` (LeCun et al. 1989): [B, C, T] -> [B, features, T'].

    Each length L becomes `(L + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1`. `kernel`, `stride`, `pad` and
    `dilation` are numbers, or lists with one an axis. `pad = same` puts `dilation * (kernel - 1) / 2` on both sides,
    with a stride too. `groups` parts channels and features: with as many groups as channels, each has its own kernels.
    `init` is how the kernels begin, as for a Linear.
    """

    word: ClassVar[str] = "Conv1d"
    example: ClassVar[str] = "Conv1d(32, kernel = 5, stride = 2, pad = same)"
    example_input: ClassVar[str] = "[B, 16, T]"
    axes: ClassVar[int] = 1
