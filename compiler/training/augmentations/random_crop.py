"""random_crop: a piece of the picture at a random place."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import WholeOrZero
from ...semantics.number import whole
from ..augmentation import Augmentation, Fields, Unfit, resized, smallest
from ..values import Size


class RandomCrop(Augmentation):
    """`random_crop(32, pad = 4)`: a piece of `size` pixels (one number, or [height, width]) at a random place of the
    picture, which gets `pad` black pixels on all sides first. In evaluation it is the piece in the middle."""

    word: ClassVar[str] = "random_crop"
    example: ClassVar[str] = "random_crop(8, pad = 2)"
    spellings: ClassVar[dict[str, str]] = {"padding": "pad"}

    size: Size
    pad: WholeOrZero = 0

    def after(self, fields: Fields) -> Fields:
        for have, wanted, side in zip(smallest(self.word, fields), self.size, ("high", "wide"), strict=True):
            if have is not None and whole(wanted) > have + 2 * whole(self.pad):
                padded = f", {have + 2 * whole(self.pad)} with `pad`" if whole(self.pad) else ""
                message = f"`random_crop` cuts {whole(wanted)} pixels, and the picture is {have} {side}{padded}"
                raise Unfit("unfit-augmentation", message, "larger than the picture", "cut less, or pad more", "size")
        return resized(self.word, fields, self.size)
