"""warmup: the rate rises to its peak."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ..stage import Ramp, ScheduleStage
from ..values import TrainLength


class Warmup(ScheduleStage):
    """`warmup(2_000)`, `warmup(5%)`: the rate rises in a straight line to its peak (Goyal et al. 2017).

    It begins at 0, or where the stage before ended, and reaches the peak with its last update.
    """

    word: ClassVar[str] = "warmup"
    example: ClassVar[str] = "warmup(5%)"
    falls: ClassVar[bool] = False

    length: TrainLength

    @property
    def begins_at(self) -> Fraction:
        return Fraction(0)

    def leads_to(self, start: Fraction) -> Fraction:
        return Fraction(1)

    def code(self, ramp: Ramp) -> list[str]:
        peak, start = ramp.rate(ramp.end), ramp.rate(ramp.start)
        done = f"({ramp.since} + 1)"
        if ramp.start == 0:
            return [f"return {peak} * {done} / {ramp.length}"]
        return [f"return {start} + ({peak} - {start}) * {done} / {ramp.length}"]
