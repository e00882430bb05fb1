"""linear: the rate goes in a straight line."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

from ..base import OptionFault
from ..stage import Ramp, ScheduleStage, has_a_target
from ..values import PartOrNone, TrainLength


class Linear(ScheduleStage):
    """`linear(to = 0)`: the rate goes in a straight line to `to`, a part of its peak (0 where it is left
    out), by the end of the run.

    With a length, `linear(20%, to = 10%)`, it takes that part of the run, and more may follow.
    """

    word: ClassVar[str] = "linear"
    example: ClassVar[str] = "linear(to = 0)"

    length: TrainLength = None
    to: PartOrNone = None

    def faults(self) -> Iterator[OptionFault]:
        yield from has_a_target(self.word, self.length, self.to)

    def leads_to(self, start: Fraction) -> Fraction:
        return Fraction(0) if self.to is None else Fraction(self.to.value)

    def code(self, ramp: Ramp) -> list[str]:
        start, end = ramp.rate(ramp.start), ramp.rate(ramp.end)
        if ramp.start == ramp.end:
            return [f"return {start}"]
        if ramp.end == 0:
            formula = f"{start} * (1 - progress)"
        elif ramp.start == 0:
            formula = f"{end} * progress"
        elif ramp.end < ramp.start:
            formula = f"{start} - ({start} - {end}) * progress"
        else:
            formula = f"{start} + ({end} - {start}) * progress"
        return [ramp.progress, f"return {formula}"]
