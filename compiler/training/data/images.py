"""images: pictures in folders, a folder a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from ...layers.options import WholeOrNone
from ...semantics.number import number
from ..base import OptionFault
from ..source import DataSource, Field, keeps_some, label, picture
from ..values import File, FileOrNone, SizeOrNone, Split, Word
from ..words import word_option
from .tokens import one_validation_part


class Images(DataSource):
    """`images("imagenet/", size = 224)`: the pictures of a folder, in a folder for each class.

    Fields: `image`, [3, height, width] from 0 to 1 ([1, height, width] with `colour = gray`), and `label`, the number
    of its folder in alphabetical order. Pictures are scaled so that the shorter side is that of `size`, and cut to it
    in the middle; without it they stay as they are, for an augmentation to bring to one size. `classes` says how many
    folders there are, where the model is to be held against that before the folder is opened. The validation part is
    a folder of its own (`validation = "imagenet-val/"`), or pictures kept back by `split`, [0.9, 0.1] where it is
    left out; which these are is the same for every seed.

    Pillow reads them (`pip install "dlspec[images]"`): JPEG, PNG, WebP, GIF, BMP and TIFF. They stand as the camera
    was held, what is transparent lies on white, and of 16 bits the upper 8 are kept. Each is decoded once before
    training, so that a damaged one is told of, and again when it is needed; a gigabyte of them stays in memory. Files
    whose names begin with a dot are passed over, and any other file that is no picture of a class is an error.
    """

    word: ClassVar[str] = "images"
    example: ClassVar[str] = 'images("flowers/", size = 8)'
    spellings: ClassVar[dict[str, str]] = {"root": "folder", "path": "folder", "image_size": "size"}

    folder: File
    size: SizeOrNone = None
    colour: Annotated[Word, word_option("kind of picture", "rgb gray", {"grey": "gray", "l": "gray"})] = "rgb"
    classes: WholeOrNone = None
    validation: FileOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)

    def fields(self) -> Mapping[str, Field]:
        return {"image": picture(self.size, number(3 if self.colour == "rgb" else 1)), "label": label(self.classes)}

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)
