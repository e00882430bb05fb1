"""stable: the rate stays."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ..stage import Ramp, ScheduleStage
from ..values import TrainLength


class Stable(ScheduleStage):
    """`stable(80%)`: the rate stays where it is, as between `warmup(..)` and `linear(to = 0)` (Hu et al. 2024)."""

    word: ClassVar[str] = "stable"
    example: ClassVar[str] = "stable(80%)"
    falls: ClassVar[bool] = False

    length: TrainLength = None

    def leads_to(self, start: Fraction) -> Fraction:
        return start

    def code(self, ramp: Ramp) -> list[str]:
        return [f"return {ramp.rate(ramp.start)}"]
