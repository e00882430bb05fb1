"""random_affine: the picture turned, moved, scaled and sheared."""

from __future__ import annotations

import math

from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .warp import warp


class RandomAffine(PictureAugmentation):
    """Each picture by an angle, a way, a factor and a shear of its own."""

    word = "random_affine"
    moves = True

    def __init__(
        self,
        fields: Fields,
        degrees: float = 0,
        translate: float = 0,
        scale: tuple[float, float] = (1, 1),
        shear: float = 0,
    ) -> None:
        self._turn, self._shear = math.radians(degrees), math.radians(shear)
        self._translate, self._scale = translate, scale
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        height, width = pictures.shape[2:]
        right, down = self._translate * width, self._translate * height
        return warp(
            pictures,
            turn=draws.uniform("turn", -self._turn, self._turn),
            scale=draws.uniform("scale", *self._scale),
            shear=draws.uniform("shear", -self._shear, self._shear),
            right=draws.uniform("right", -right, right),
            down=draws.uniform("down", -down, down),
        )
