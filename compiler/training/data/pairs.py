"""pairs: two files that say the same, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from ...layers.options import Whole
from ...options import Kind
from ..base import OptionFault, ReadBy
from ..language import TOKENIZERS
from ..source import DataSource, Field, keeps_some
from ..tokenizers import Tokenizer, read_tokenizer
from ..values import Files, FilesOrNone, Split
from .tokens import one_validation_part


class Pairs(DataSource):
    """`pairs("train.de", "train.en", tokenizer = bpe(8_000), window = 64)`: a line of `source` and the same line of
    `target`, from plain files or packed ones (.gz).

    Fields: `source`, `target` and `targets`, int[window]. `source` is a line and its end. `target` is what a decoder
    reads, a start and the line; `targets` what it says, the line and its end, -100 behind that. Token 0 fills lines up;
    longer ones and empty ones are left out, and counted. The three marks are the bytes 0, 2 and 3, which no text
    holds; of a tokenizer.json they are `<pad>`, `<s>` (`<pad>` again, where there is none) and `</s>`. `tokenizer` is
    that of `text`, one for both files. The validation part is two files of its own
    (`validation = ["test.de", "test.en"]`), or lines kept back by `split`, [0.9, 0.1] where it is left out.

    `dlspec predict RUN --input lines.txt` says the target of each line, and `dlspec generate RUN --prompt TEXT` of one.
    """

    word: ClassVar[str] = "pairs"
    example: ClassVar[str] = 'pairs("train.de", "train.en", tokenizer = bpe(8_000), window = 64)'
    vocabulary: ClassVar[bool] = True
    following: ClassVar[Mapping[str, str]] = {"targets": "target"}

    source: Files
    target: Files
    tokenizer: Annotated[Tokenizer, Kind(lambda value: value), ReadBy(read_tokenizer, TOKENIZERS.words)] = Tokenizer(
        "bytes"
    )
    window: Whole
    validation: FilesOrNone = None
    split: Split = None

    def faults(self) -> Iterator[OptionFault]:
        yield from one_validation_part(self.validation, self.split)
        if len(self.source) != len(self.target):
            message = f"`source` has {len(self.source)} files, and `target` {len(self.target)}: they go in pairs"
            yield OptionFault("conflict", message, "target", "not as many", "name as many files in both")
        yield from two_files(self.validation, "the source and the target")

    def fields(self) -> Mapping[str, Field]:
        classes = self.tokenizer.vocabulary
        return {
            "source": Field("int", (self.window,), classes, option="window"),
            "target": Field("int", (self.window,), classes, option="window"),
            "targets": Field("int", (self.window,), classes, partial=True, option="window"),
        }

    def validates(self) -> bool:
        return self.validation is not None or keeps_some(self.split)

    def tokenizes(self) -> bool:
        return True


def two_files(validation: tuple[str, ...] | None, what: str) -> Iterator[OptionFault]:
    if validation is not None and len(validation) != 2:
        message = f"`validation` takes two files, {what}"
        yield OptionFault("wrong-value", message, "validation", f"{len(validation)} here", 'such as ["a", "b"]')
