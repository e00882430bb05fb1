"""constant: the rate stays to the end."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ..stage import Ramp, ScheduleStage


class Constant(ScheduleStage):
    """`constant`: the rate stays where it is for the rest of the run. Also what a run without `schedule` has."""

    word: ClassVar[str] = "constant"
    example: ClassVar[str] = "constant"
    falls: ClassVar[bool] = False

    def leads_to(self, start: Fraction) -> Fraction:
        return start

    def code(self, ramp: Ramp) -> list[str]:
        return [f"return {ramp.rate(ramp.start)}"]
