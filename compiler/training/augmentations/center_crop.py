"""center_crop: the middle of the picture."""

from __future__ import annotations

from typing import ClassVar

from ...semantics.number import whole
from ..augmentation import Augmentation, Fields, Unfit, resized, smallest
from ..values import Size


class CenterCrop(Augmentation):
    """`center_crop(224)`: the middle of the picture, `size` pixels (one number, or [height, width])."""

    word: ClassVar[str] = "center_crop"
    example: ClassVar[str] = "center_crop(8)"

    size: Size

    def after(self, fields: Fields) -> Fields:
        for have, wanted, side in zip(smallest(self.word, fields), self.size, ("high", "wide"), strict=True):
            if have is not None and whole(wanted) > have:
                message = f"`center_crop` cuts {whole(wanted)} pixels, and the picture is {have} {side}"
                raise Unfit("unfit-augmentation", message, "larger than the picture", "cut less", "size")
        return resized(self.word, fields, self.size)
