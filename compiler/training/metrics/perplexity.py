"""perplexity: how many tokens the model is torn between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..losses.cross_entropy import CrossEntropy, rows
from ..measure import Call, MeanMetric, Operand, Statements, Value, check_classes


class Perplexity(MeanMetric):
    """`perplexity(logits, data.targets)`: e to the mean cross-entropy of the whole validation set, without smoothing.

    Targets that the loss ignores do not count.
    """

    word: ClassVar[str] = "perplexity"
    example: ClassVar[str] = "perplexity(logits, data.label)"
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.targets")
    heads: ClassVar[dict[str, str]] = CrossEntropy.heads
    after: ClassVar[str | None] = "exp"

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)

    def code(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> str:
        return str(Call("F.cross_entropy", rows(said, true)))
