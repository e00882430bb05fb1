"""random_blur: the picture blurred."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Probability
from ..augmentation import Augmentation, Fields, pictures
from ..values import Range


class RandomBlur(Augmentation):
    """`random_blur(p = 0.5, std = [0.1, 2])`: the picture blurred by a Gaussian.

    `std` is between which deviations, in pixels, it lies; `p` is the probability.
    """

    word: ClassVar[str] = "random_blur"
    example: ClassVar[str] = "random_blur(0.5)"
    spellings: ClassVar[dict[str, str]] = {"sigma": "std"}

    p: Probability = 0.5
    std: Range = (0.1, 2)

    def after(self, fields: Fields) -> Fields:
        pictures(self.word, fields)
        return fields
