"""Rectangles of random size, shape and place inside a picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..chance import Draws

TRIES = 10


def random_rectangles(
    draws: Draws, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The tops, lefts, heights and widths, int64 [examples], of one rectangle for each example.

    The area is drawn evenly between parts of the picture's, the width over the height evenly on a scale of logarithms.
    Of several that are drawn the first that lies inside is taken; the last is cut where none does.
    """
    area = draws.table("area", TRIES, *scale) * (height * width)
    shape = torch.exp(draws.table("shape", TRIES, math.log(ratio[0]), math.log(ratio[1])))
    talls = (area / shape).sqrt().round().long().clamp(min=1)
    wides = (area * shape).sqrt().round().long().clamp(min=1)
    fits = (talls <= height) & (wides <= width)
    fits[:, -1] = True
    first = fits.int().argmax(1, keepdim=True)  # of equals the first
    tall = talls.gather(1, first)[:, 0].clamp(max=height)
    wide = wides.gather(1, first)[:, 0].clamp(max=width)
    return draws.below("top", height - tall + 1), draws.below("left", width - wide + 1), tall, wide
