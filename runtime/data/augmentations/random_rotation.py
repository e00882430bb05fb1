"""random_rotation: the picture turned."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .warp import warp


class RandomRotation(PictureAugmentation):
    """Each picture by an angle of its own, up to `degrees` either way."""

    word = "random_rotation"
    moves = True

    def __init__(self, fields: Fields, degrees: float) -> None:
        self._most = math.radians(degrees)
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        turn = draws.uniform("turn", -self._most, self._most)
        none = torch.zeros_like(turn)
        return warp(pictures, turn=turn, scale=torch.ones_like(turn), shear=none, right=none, down=none)
