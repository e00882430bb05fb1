"""random_affine: the picture turned, moved, scaled and sheared."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Probability
from ..augmentation import Augmentation, Fields, pictures
from ..values import Degrees, Range


class RandomAffine(Augmentation):
    """`random_affine(degrees = 10, translate = 0.1, scale = [0.9, 1.1], shear = 5)`: the picture turned, moved, scaled
    and sheared at random; what comes in is black.

    It is turned by up to `degrees` either way, moved by up to the part `translate` of its sides, scaled by a factor
    between those of `scale`, and sheared by up to `shear` degrees.
    """

    word: ClassVar[str] = "random_affine"
    example: ClassVar[str] = "random_affine(degrees = 10, translate = 0.1)"

    degrees: Degrees = 0
    translate: Probability = 0
    scale: Range = (1, 1)
    shear: Degrees = 0

    def after(self, fields: Fields) -> Fields:
        pictures(self.word, fields)
        return fields
