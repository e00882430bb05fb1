"""exponential: the rate falls by the same factor in every update."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ..stage import Ramp, ScheduleStage
from ..values import PartAboveZero, TrainLength


class Exponential(ScheduleStage):
    """`exponential(to = 1%)`: the rate falls by one factor in every update, to `to`, a part of its peak, by the end of
    the run.

    With a length, `exponential(50%, to = 1%)`, it takes that part of the run, and more may follow.
    """

    word: ClassVar[str] = "exponential"
    example: ClassVar[str] = "exponential(to = 1%)"

    length: TrainLength = None
    to: PartAboveZero

    def leads_to(self, start: Fraction) -> Fraction:
        return Fraction(self.to.value)

    def code(self, ramp: Ramp) -> list[str]:
        start, end = ramp.rate(ramp.start), ramp.rate(ramp.end)
        if ramp.start in (0, ramp.end):
            return [f"return {end}"]
        return [ramp.progress, f"return {start} * ({end} / {start}) ** progress"]
