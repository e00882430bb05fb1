"""random_resized_crop: a piece of random size and shape."""

from __future__ import annotations

from typing import ClassVar

from ..augmentation import Augmentation, Fields, resized
from ..values import PartRange, Range, Size


class RandomResizedCrop(Augmentation):
    """`random_resized_crop(224, scale = [0.08, 1], ratio = [0.75, 1.3333])`: a piece of random size and shape, scaled
    to `size` pixels (one number, or [height, width]) (Szegedy et al. 2015).

    Its area is a part of the picture's between those of `scale`, its width over its height lies between those of
    `ratio`. In evaluation the picture is scaled until it holds 8/7 of `size`, and the middle is taken: 224 of 256.
    """

    word: ClassVar[str] = "random_resized_crop"
    example: ClassVar[str] = "random_resized_crop(8)"

    size: Size
    scale: PartRange = (0.08, 1)
    ratio: Range = (0.75, 1.3333)

    def after(self, fields: Fields) -> Fields:
        return resized(self.word, fields, self.size)
