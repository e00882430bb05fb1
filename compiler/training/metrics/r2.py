"""r2: the part of the variance that is explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import SetMetric, Value, check_alike


class R2(SetMetric):
    """`r2(output, data.y)`: 1 less the squared differences over those from the mean of `y`, over the whole validation
    set. 1 is perfect, 0 as good as the mean."""

    word: ClassVar[str] = "r2"
    example: ClassVar[str] = "r2(output, data.y)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)
