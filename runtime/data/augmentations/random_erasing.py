"""random_erasing: a rectangle of the picture made black."""

from __future__ import annotations

import torch
from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .rectangles import random_rectangles


class RandomErasing(PictureAugmentation):
    """A rectangle of each picture set to 0, with the probability `p`."""

    word = "random_erasing"

    def __init__(
        self,
        fields: Fields,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
    ) -> None:
        self._probability, self._scale, self._ratio = p, scale, ratio
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        height, width = pictures.shape[2:]
        tops, lefts, talls, wides = random_rectangles(draws, height, width, self._scale, self._ratio)
        rows, columns = torch.arange(height), torch.arange(width)
        inside_rows = (rows >= tops[:, None]) & (rows < (tops + talls)[:, None])
        inside_columns = (columns >= lefts[:, None]) & (columns < (lefts + wides)[:, None])
        inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
        chosen = draws.chance("erase", self._probability)[:, None, None, None]
        return pictures.masked_fill(inside & chosen, 0)
