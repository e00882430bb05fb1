"""Conv3d: a convolution of volumes."""

from __future__ import annotations

from typing import ClassVar

from .convolution import Convolution


class Conv3d(Convolution):
    """`Conv3d(features, kernel)` (LeCun et al. 1989): [B, C, D, H, W] -> [B, features, D', H', W'].

    Each length L becomes `(L + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1`. `kernel`, `stride`, `pad` and
    `dilation` are numbers, or lists with one an axis. `pad = same` puts `dilation * (kernel - 1) / 2` on both sides,
    with a stride too. `groups` parts channels and features: with as many groups as channels, each has its own kernels.
    `init` is how the kernels begin, as for a Linear.
    """

    word: ClassVar[str] = "Conv3d"
    example: ClassVar[str] = "Conv3d(32, kernel = [1, 3, 3], pad = same)"
    example_input: ClassVar[str] = "[B, 8, T, H, W]"
    axes: ClassVar[int] = 3
