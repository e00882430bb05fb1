"""arrays: whatever lies in a .npz file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ..base import OptionFault
from ..source import DataSource, keeps_some, split_settings
from ..values import File, FileOrNone, Split
from .tokens import one_validation_part


class Arrays(DataSource):
    """`arrays("measurements.npz")`: the arrays of a .npz file, one row an example.

    Its fields are its arrays by their names, known when the data is read: floats, ints or bools, the first axis the
    examples. The validation part is a file of its own (`validation = "test.npz"`), or rows kept back by `split`,
    [0.9, 0.1] where it is left out. Write one with `numpy.savez("measurements.npz", x=x, y=y)`.
    """

    word: ClassVar[str] = "arrays"
    example: ClassVar[str] = 'arrays("measurements.npz")'

    file: File
    validation: FileOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)

    def fields(self) -> None:
        return None

    def settings(self) -> dict[str, Any]:
        validation = {} if self.validation is None else {"validation": self.validation}
        return {"file": self.file} | validation | split_settings(self.split)

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)
