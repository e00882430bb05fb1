"""random_grayscale: the picture without colours."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Probability
from ..augmentation import Augmentation, Fields, Unfit, pictures


class RandomGrayscale(Augmentation):
    """`random_grayscale(0.2)`: the picture without colours, and three channels still; `p` is the probability."""

    word: ClassVar[str] = "random_grayscale"
    example: ClassVar[str] = "random_grayscale(0.2)"

    p: Probability = 0.1

    def after(self, fields: Fields) -> Fields:
        for channels, _, _ in pictures(self.word, fields).values():
            if channels.value not in (None, 3):
                message = f"`random_grayscale` is for pictures of three channels, and these have {channels.value}"
                raise Unfit("unfit-augmentation", message, "no colours here", "take it out")
        return fields
