"""table: rows of a .csv, .parquet or .jsonl file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ...layers.options import WholeOrNone
from ...semantics.number import number
from ..base import OptionFault
from ..source import DataSource, Field, keeps_some, label
from ..values import ColumnsOrNone, File, FileOrNone, Split, TextOrNone
from .tokens import one_validation_part

_ENDINGS = (".csv", ".parquet", ".jsonl")


class Table(DataSource):
    """`table("houses.csv", features = ["rooms", "area"], target = "price")`: one row an example.

    Fields: `features`, the columns of the list side by side, [2] here; one column in quotes is what its cells hold, a
    number or a list of them; and `target`, the column that is asked for. Where neither is given, every column is a
    field of its name. `classes = n` says that the target is one of n classes: then it is a number from 0 (`1.0` is
    the class 1), or, where any of them is not, a word, numbered in alphabetical order. A row without a value is an
    error, as is a class without a row to learn it from. The validation part is a file of its own
    (`validation = "test.csv"`), or rows kept back by `split`, [0.9, 0.1] where it is left out. The first line of a .csv
    names its columns; .parquet needs `pip install "dlspec[tables]"`.
    """

    word: ClassVar[str] = "table"
    naming: ClassVar[frozenset[str]] = frozenset({"features", "target"})
    example: ClassVar[str] = 'table("houses.csv", features = ["rooms", "area"], target = "price")'
    spellings: ClassVar[dict[str, str]] = {"label": "target", "columns": "features", "y": "target", "x": "features"}

    file: File
    features: ColumnsOrNone = None
    target: TextOrNone = None
    classes: WholeOrNone = None
    validation: FileOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)
        if not self.file.endswith(_ENDINGS):
            message = f"`table` reads {', '.join(_ENDINGS)}: the name of the file says which"
            yield OptionFault("wrong-value", message, "file", "none of these", 'such as "houses.csv"')
        features = (self.features,) if isinstance(self.features, str) else self.features or ()
        twice = next((name for i, name in enumerate(features) if name in features[:i]), None)
        if twice is not None:
            message = f'the column "{twice}" stands twice in `features`'
            yield OptionFault("repeated-name", message, "features", "one of both says nothing new", "name it once")
        if self.target is not None and self.target in features:
            message = f'the column "{self.target}" is a feature and the target too: there is nothing to learn from it'
            yield OptionFault("conflict", message, "target", "among `features` too", "take it out of `features`")
        if self.classes is not None and self.target is None:
            message = "`classes` is the number of different targets, and no column is the target"
            yield OptionFault("conflict", message, "classes", "of what?", 'write `target = "column"` too')

    def fields(self) -> Mapping[str, Field] | None:
        if self.features is None and self.target is None:
            return None
        found: dict[str, Any] = {}
        if self.features is not None:
            alone = isinstance(self.features, str)
            found["features"] = Field("float", None if alone else (number(len(self.features)),), option="features")
        if self.target is not None:
            found["target"] = Field("float", None) if self.classes is None else label(self.classes)
        return found

    def lacking(self) -> str:
        asks_alone = self.features is None and self.target is not None
        return 'say which columns are read: `features = ["rooms", "area"]` for instance' if asks_alone else ""

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)
