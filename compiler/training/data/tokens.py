"""tokens: text that is tokenized already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from ...layers.options import Whole
from ...semantics.number import whole
from ..base import OptionFault
from ..source import DataSource, Field, keeps_some, split_settings, windows
from ..values import File, FileOrNone, Split, Word
from ..words import word_option


class Tokens(DataSource):
    """`tokens("train.bin", window = 1024)`: windows over a flat file of little-endian token numbers (nanoGPT's form).

    Fields: `tokens` and `targets`, int[window], the targets one token further on. `dtype` is that of the file. The
    validation part is a file of its own (`validation = "val.bin"`), or cut off the end by `split`, [0.9, 0.1] where
    it is left out.
    """

    word: ClassVar[str] = "tokens"
    example: ClassVar[str] = 'tokens("train.bin", window = 64, validation = "val.bin")'
    vocabulary: ClassVar[bool] = True
    following: ClassVar[Mapping[str, str]] = {"targets": "tokens"}

    file: File
    window: Whole
    dtype: Annotated[Word, word_option("type of tokens", "uint16 uint32")] = "uint16"
    validation: FileOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)

    def fields(self) -> Mapping[str, Field]:
        return windows(self.window, None)

    def settings(self) -> dict[str, Any]:
        dtype = {} if self.dtype == "uint16" else {"dtype": self.dtype}
        validation = {} if self.validation is None else {"validation": self.validation}
        return {"file": self.file, "window": whole(self.window)} | dtype | validation | split_settings(self.split)

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)


def one_validation_part(validation: object, split: object) -> Iterator[OptionFault]:
    if validation is not None and split is not None:
        yield OptionFault(
            "conflict",
            "the validation part comes from a file of its own or from a split, not from both",
            "split",
            "and `validation` names a file",
            "take out one of the two",
        )
