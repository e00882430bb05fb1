"""inverse_sqrt: the rate falls with the root of the step."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ..stage import Ramp, ScheduleStage
from ..values import TrainLength


class InverseSqrt(ScheduleStage):
    """`warmup(4_000) -> inverse_sqrt`: the rate falls as `sqrt(start / step)` (Vaswani et al. 2017).

    `start` is the length of what stands before it, so that the rate goes on from where it is; where nothing does, it
    has to be given. It takes the rest of the run.
    """

    word: ClassVar[str] = "inverse_sqrt"
    example: ClassVar[str] = "inverse_sqrt(start = 100)"

    start: TrainLength = None

    def leads_to(self, start: Fraction) -> Fraction:
        return start

    def code(self, ramp: Ramp) -> list[str]:
        rate = ramp.rate(ramp.start)
        if self.start is None:
            return [f"return {rate} * math.sqrt({ramp.begin} / step)"]
        start = ramp.updates(self.start)
        return [f"return {rate} * math.sqrt({start} / ({start} + {ramp.since}))"]
