"""resize: the picture at another size."""

from __future__ import annotations

from typing import ClassVar

from ..augmentation import Augmentation, Fields, resized
from ..values import Size


class Resize(Augmentation):
    """`resize(256)`: the picture scaled to `size` pixels (one number, or [height, width]), with antialiasing."""

    word: ClassVar[str] = "resize"
    example: ClassVar[str] = "resize(8)"

    size: Size

    def after(self, fields: Fields) -> Fields:
        return resized(self.word, fields, self.size)
