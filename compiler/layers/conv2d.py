"""Conv2d: a convolution of pictures."""

from __future__ import annotations

from typing import ClassVar

from .convolution import Convolution


class Conv2d(Convolution):
    """`Conv2d(features, kernel)` (LeCun et al. 1989): [B, C, H, W] -> [B, features, H', W'].

    Each length L becomes `(L + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1`. `kernel`, `stride`, `pad` and
    `dilation` are numbers, or lists with one an axis. `pad = same` puts `dilation * (kernel - 1) / 2` on both sides,
    with a stride too. `groups` parts channels and features: with as many groups as channels, each has its own kernels.
    `init` is how the kernels begin, as for a Linear.
    """

    word: ClassVar[str] = "Conv2d"
    example: ClassVar[str] = "Conv2d(32, kernel = 3, stride = 2, pad = 1)"
    example_input: ClassVar[str] = "[B, 16, H, W]"
    axes: ClassVar[int] = 2
