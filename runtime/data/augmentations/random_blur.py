"""random_blur: the picture blurred."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws


class RandomBlur(PictureAugmentation):
    """A Gaussian, cut off at three deviations, along one axis and then the other."""

    word = "random_blur"

    def __init__(self, fields: Fields, p: float = 0.5, std: tuple[float, float] = (0.1, 2)) -> None:
        self._probability, self._deviations = p, std
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        rows = draws.chance("blur", self._probability).nonzero().flatten()
        if not len(rows):
            return pictures
        deviations = draws.uniform("std", *self._deviations)[rows].float()
        changed = pictures.clone()
        changed[rows] = self._blurred(pictures[rows], deviations)
        return changed

    def _blurred(self, pictures: Tensor, deviations: Tensor) -> Tensor:
        for axis in (2, 3):
            # A picture is mirrored at its edges, and cannot be mirrored further than it reaches.
            reach = min(math.ceil(3 * self._deviations[1]), pictures.shape[axis] - 1)
            places = torch.arange(-reach, reach + 1)
            weights = torch.exp(-0.5 * (places / deviations[:, None]) ** 2)
            weights = weights / weights.sum(1, keepdim=True)
            sides = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
            mirrored, length = F.pad(pictures, sides, mode="reflect"), pictures.shape[axis]
            blurred = torch.zeros_like(pictures)
            for place in range(2 * reach + 1):
                blurred += weights[:, place, None, None, None] * mirrored.narrow(axis, place, length)
            pictures = blurred
        return pictures
