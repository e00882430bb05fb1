"""random_erasing: a rectangle of the picture made black."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Probability
from ..augmentation import Augmentation, Fields, pictures
from ..values import PartRange, Range


class RandomErasing(Augmentation):
    """`random_erasing(p = 0.5, scale = [0.02, 0.33], ratio = [0.3, 3.3])`: a rectangle of the picture made black
    (Zhong et al. 2020).

    `p` is the probability; its area is a part of the picture's between those of `scale`, its width over its height
    lies between those of `ratio`.
    """

    word: ClassVar[str] = "random_erasing"
    example: ClassVar[str] = "random_erasing(p = 0.25)"

    p: Probability = 0.5
    scale: PartRange = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)

    def after(self, fields: Fields) -> Fields:
        pictures(self.word, fields)
        return fields
