"""contrastive: what belongs together lies close, what does not lies a margin apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ..measure import Loss, Value, check_alike, check_label


class Contrastive(Loss):
    """`contrastive(a, b, data.same, margin = 1)`: the mean of `d ^ 2` where `same` is 1 and of `max(0, margin - d) ^ 2`
    where it is 0, `d` the distance of `a` and `b` along their last axis (Hadsell et al. 2006)."""

    word: ClassVar[str] = "contrastive"
    example: ClassVar[str] = "contrastive(output, output, data.same)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("a", "b", "data.same")
    one_sided: ClassVar[bool] = False

    margin: Positive = 1

    def check(self, values: Sequence[Value]) -> None:
        a, b, same = values
        check_alike(self.word, a, b)
        check_label(self.word, a, same)
