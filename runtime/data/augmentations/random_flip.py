"""random_flip: the picture mirrored."""

from __future__ import annotations

import torch
from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws

AXES = {"horizontal": -1, "vertical": -2}


class RandomFlip(PictureAugmentation):
    """Each picture by itself, with the probability `p`."""

    word = "random_flip"
    moves = True

    def __init__(self, fields: Fields, p: float = 0.5, axis: str = "horizontal") -> None:
        self._probability, self._axis = p, AXES[axis]
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        chosen = draws.chance("flip", self._probability)[:, None, None, None]
        return torch.where(chosen, pictures.flip(self._axis), pictures)
