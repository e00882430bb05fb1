"""f1: the harmonic mean of precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from ..measure import SetMetric, Value, check_classes
from ..values import Word
from ..words import word_option


class F1(SetMetric):
    """`f1(logits, data.label, average = macro)`: the harmonic mean of precision and recall of each class.

    Shapes are those of `accuracy`. `average` is `macro` (every class counts alike), `weighted` (as often as it
    occurs), `micro` (every entry counts alike). Targets that the loss ignores do not count.
    """

    word: ClassVar[str] = "f1"
    example: ClassVar[str] = "f1(logits, data.label)"
    runs: ClassVar[bool] = False
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    masks: ClassVar[bool] = True

    average: Annotated[Word, word_option("way to average", "macro weighted micro")] = "macro"

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
