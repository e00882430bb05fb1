"""The memory that cuDNN takes to work in for a convolution.

On tensor cores (bf16, fp16, tf32) it computes with channels last, and copies what comes in, the weight and what goes
out.

In float32 it takes 3 x 3 windows on pictures by transforms. Winograd's F(4 x 4, 3 x 3) makes 36 numbers of each tile of
4 x 4; a Fourier transform makes t * (t / 2 + 1) complex ones of a tile of t x t, and is taken where the pictures are
many enough to make up for transforming the weight. What is transformed is what comes in, the weight (forward by Fourier
twice) and what goes out.

How large a transform is follows from the algorithm; which one is taken is cuDNN's own choice. This is what cuDNN 9 took
for ResNet-18 with 32, 64 and 128 pictures on an H200, found in each operation's memory. What other convolutions in
float32 take is counted as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

_FLOAT = 4
_TILES = (16, 32)
"""Sides of the tiles of Fourier transforms."""


@dataclass(frozen=True)
class Work:
    """Bytes that are there while the pass runs."""

    forward: int = 0
    backward: int = 0


def work(x: Sequence[int], weight: Sequence[int], y: Sequence[int], *, width: int, tensor_cores: bool) -> Work:
    """Of a convolution from [B, C, ...] to [B, K, ...] with a weight of [K, C, ...], `width` bytes an entry."""
    if tensor_cores:
        copies = width * (prod(x) + prod(weight) + prod(y))
        return Work(copies, copies)
    if tuple(weight[1:]) != (x[1], 3, 3) or tuple(x[2:]) != tuple(y[2:]):
        return Work()
    batch, channels, *sides = x
    pictures, filters = batch * (channels + y[1]), channels * y[1]
    winograd = 36 * _FLOAT * (filters + pictures * prod(-(-side // 4) for side in sides))
    padded = max(sides) + 2
    if padded > _TILES[-1] or 2 * pictures < filters:
        return Work(0, winograd)
    smallest = next(tile for tile in _TILES if tile >= padded)
    forward = _transformed(smallest) * (2 * filters + pictures)
    # Backward it takes the large tile, unless most of it would be empty.
    fourier = _transformed(_TILES[-1]) * (filters + pictures) if padded > 10 else 0
    return Work(forward, max(winograd, fourier))


def _transformed(tile: int) -> int:
    """Bytes of the transform of a tile."""
    return tile * (tile // 2 + 1) * 2 * _FLOAT
