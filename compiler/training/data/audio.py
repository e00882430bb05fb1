"""audio: recordings in folders, a folder a class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from ...layers.options import Positive, Whole, WholeOrNone
from ...semantics.number import is_whole, number, operation
from ..base import OptionFault
from ..source import DataSource, Field, keeps_some, label
from ..values import File, FileOrNone, Split
from .tokens import one_validation_part


class Audio(DataSource):
    """`audio("commands/", seconds = 1)`: the recordings of a folder, in a folder for each class (.wav).

    Fields: `audio`, [rate * seconds, 1] from -1 to 1, and `label`, the number of its folder in alphabetical order.
    Recordings are brought to `rate` samples a second (16,000 where it is left out) and one channel, cut to `seconds`
    or filled up with silence. `classes` says how many folders there are, where the model is to be held against that
    before the folder is opened. The validation part is a folder of its own (`validation = "commands-test/"`), or
    recordings kept back by `split`, [0.9, 0.1] where it is left out.
    """

    word: ClassVar[str] = "audio"
    example: ClassVar[str] = 'audio("commands/", seconds = 1, classes = 10)'
    spellings: ClassVar[dict[str, str]] = {"sample_rate": "rate", "root": "folder", "duration": "seconds"}

    folder: File
    seconds: Positive
    rate: Whole = 16_000
    classes: WholeOrNone = None
    validation: FileOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)
        if not is_whole(operation("*", self.rate, self.seconds)):
            message = "`rate * seconds` is the number of samples, and it is not whole"
            yield OptionFault("wrong-value", message, "seconds", "half a sample is left", "such as `seconds = 1`")

    def fields(self) -> Mapping[str, Field]:
        samples = operation("*", self.rate, self.seconds)
        return {"audio": Field("float", (samples, number(1)), option="seconds"), "label": label(self.classes)}

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)
