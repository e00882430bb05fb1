"""random_flip: the picture mirrored."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ...layers.options import Probability
from ..augmentation import Augmentation, Fields, pictures
from ..values import Word
from ..words import word_option


class RandomFlip(Augmentation):
    """`random_flip`: the picture mirrored, every other time; `p` is the probability.

    `axis` is `horizontal` (left and right change places) or `vertical`.
    """

    word: ClassVar[str] = "random_flip"
    example: ClassVar[str] = "random_flip"

    p: Probability = 0.5
    axis: Annotated[Word, word_option("way to flip", "horizontal vertical")] = "horizontal"

    def after(self, fields: Fields) -> Fields:
        pictures(self.word, fields)
        return fields
