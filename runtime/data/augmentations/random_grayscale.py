"""random_grayscale: the picture without colours."""

from __future__ import annotations

import torch
from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .colours import grayscale, require_colours


class RandomGrayscale(PictureAugmentation):
    """The brightness in all three channels, with the probability `p`."""

    word = "random_grayscale"

    def __init__(self, fields: Fields, p: float = 0.1) -> None:
        self._probability = p
        require_colours(self.word, fields)
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        chosen = draws.chance("gray", self._probability)[:, None, None, None]
        return torch.where(chosen, grayscale(pictures), pictures)
