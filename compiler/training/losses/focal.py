"""focal: cross-entropy that counts what is known already for little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import NotNegative
from ...semantics.number import Number
from ..measure import Loss, Value, check_classes, check_weights
from ..values import NumbersOrNone, WholeNumberOrNone
from .cross_entropy import CrossEntropy


class Focal(Loss):
    """`focal(logits, data.label, gamma = 2)`: the mean of `-(1 - p) ^ gamma * log p`, `p` the softmax of the true
    class (Lin et al. 2017).

    Shapes are those of `cross_entropy`. `weight` is a list with what each class counts. Targets of -100 do not count,
    nor do those equal to `ignore`.
    """

    word: ClassVar[str] = "focal"
    example: ClassVar[str] = "focal(logits, data.label, gamma = 2)"
    runs: ClassVar[bool] = False
    spellings: ClassVar[dict[str, str]] = {"alpha": "weight"}
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    heads: ClassVar[dict[str, str]] = CrossEntropy.heads

    gamma: NotNegative = 2
    weight: NumbersOrNone = None
    ignore: WholeNumberOrNone = None

    @property
    def ignored(self) -> Number | None:
        return self.ignore

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
        check_weights(self.weight, values[0])
