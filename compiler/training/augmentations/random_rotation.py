"""random_rotation: the picture turned."""

from __future__ import annotations

from typing import ClassVar

from ..augmentation import Augmentation, Fields, pictures
from ..values import Degrees


class RandomRotation(Augmentation):
    """`random_rotation(15)`: the picture turned by up to that many `degrees` either way; what comes in is black."""

    word: ClassVar[str] = "random_rotation"
    example: ClassVar[str] = "random_rotation(15)"

    degrees: Degrees

    def after(self, fields: Fields) -> Fields:
        pictures(self.word, fields)
        return fields
