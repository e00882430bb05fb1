"""task: examples that are made, not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from ...layers.options import Whole, WholeOrZero
from ...semantics.number import number, operation, whole
from ..base import OptionFault
from ..source import DataSource, Field
from ..values import Word
from ..words import word_option


class Task(DataSource):
    """`task(reverse, length = 16, vocab = 12)`: sequences to `copy`, `reverse` or `sort`, or numbers to add
    (`addition`), for a model that reads from the left.

    Fields: `tokens` and `targets`, int[2 * length]. The tokens are `length` random symbols, a separator (the last of
    `vocab` tokens) and the answer; the targets are the answer, -100 where nothing is asked. Of an `addition` the
    symbols are the digits of two numbers, `length / 2` each, in base `vocab - 1`, and the answer is their sum with one
    digit more; where there are no more than 2 ^ 20 of them, no addition comes twice, so that validation asks for new
    ones. `examples` are trained on and `validation` more kept for validation, all a function of the seed.
    """

    word: ClassVar[str] = "task"
    example: ClassVar[str] = "task(reverse, length = 16, vocab = 12)"
    following: ClassVar[Mapping[str, str]] = {"targets": "tokens"}

    kind: Annotated[Word, word_option("task", "copy reverse sort addition")]
    length: Whole
    vocab: Whole
    examples: Whole = 10_000
    validation: WholeOrZero = 1_000

    def faults(self) -> Iterator[OptionFault]:
        if whole(self.vocab) < 3:
            takes = "`vocab` of a task takes a whole number of at least 3"
            yield OptionFault("wrong-value", takes, "vocab", "too few", "two symbols and the separator are 3 tokens")

        if self.kind == "addition":
            yield from self._faults_of_addition()

    def _faults_of_addition(self) -> Iterator[OptionFault]:
        length, symbols = whole(self.length), whole(self.vocab) - 1
        if length % 2:
            message = "two numbers that are added have an even number of digits together"
            yield OptionFault("wrong-value", message, "length", "odd", f"such as {length + 1}, half of it for each")
            return
        known, wanted = symbols ** min(length, 64), whole(self.examples) + whole(self.validation)
        if wanted > known:
            message = (
                f"there are {known:,} additions of {length // 2} digits in base {symbols}, and {wanted:,} examples"
            )
            help = f"`examples` and `validation` come to {known:,} at most"
            yield OptionFault("wrong-value", message, "examples", "more than there are", help)

    def fields(self) -> Mapping[str, Field]:
        width = operation("*", number(2), self.length)
        return {
            "tokens": Field("int", (width,), self.vocab, option="length"),
            "targets": Field("int", (width,), self.vocab, partial=True, option="length"),
        }

    def settings(self) -> dict[str, Any]:
        counts = {"length": self.length, "vocab": self.vocab, "examples": self.examples, "validation": self.validation}
        return {"kind": self.kind} | {name: whole(count) for name, count in counts.items()}

    def validates(self) -> bool:
        return whole(self.validation) > 0
