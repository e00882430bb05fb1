"""triplet: an anchor is nearer to its like than to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ..measure import Loss, Value, check_alike


class Triplet(Loss):
    """`triplet(anchor, positive, negative, margin = 1)`: the mean of `max(0, d(a, p) - d(a, n) + margin)`, `d` the
    distance of two vectors along the last axis (Schroff et al. 2015)."""

    word: ClassVar[str] = "triplet"
    example: ClassVar[str] = "triplet(output, output, output, margin = 0.2)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("anchor", "positive", "negative")
    one_sided: ClassVar[bool] = False

    margin: Positive = 1

    def check(self, values: Sequence[Value]) -> None:
        anchor, positive, negative = values
        check_alike(self.word, anchor, positive)
        check_alike(self.word, anchor, negative)
