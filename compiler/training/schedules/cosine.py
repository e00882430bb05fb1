"""cosine: the rate follows half a wave."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

from ...layers.options import WholeOrZero
from ...semantics.number import whole
from ..base import OptionFault
from ..stage import Ramp, ScheduleStage, has_a_target
from ..values import PartOrNone, TrainLength


class Cosine(ScheduleStage):
    """`cosine(to = 10%)`: the rate follows half a wave to `to`, a part of its peak (0 where it is left
    out), by the end of the run.

    (Loshchilov and Hutter 2017.) It begins and ends level. With a length, `cosine(50%, to = 10%)`, it takes that part
    of the run, and more may follow. With `restarts = 3` it jumps back to where it began three times: four waves of
    one length.
    """

    word: ClassVar[str] = "cosine"
    example: ClassVar[str] = "cosine(to = 10%)"
    spellings: ClassVar[dict[str, str]] = {"eta_min": "to", "min_lr": "to"}

    length: TrainLength = None
    to: PartOrNone = None
    restarts: WholeOrZero = 0

    def faults(self) -> Iterator[OptionFault]:
        yield from has_a_target(self.word, self.length, self.to)

    def leads_to(self, start: Fraction) -> Fraction:
        return Fraction(0) if self.to is None else Fraction(self.to.value)

    def code(self, ramp: Ramp) -> list[str]:
        start, end = ramp.rate(ramp.start), ramp.rate(ramp.end)
        if ramp.start == ramp.end:
            return [f"return {start}"]
        if ramp.end == 0:
            formula = f"{start} * (1 + math.cos(math.pi * progress)) / 2"
        elif ramp.start == 0:
            formula = f"{end} * (1 - math.cos(math.pi * progress)) / 2"
        elif ramp.end < ramp.start:
            formula = f"{end} + ({start} - {end}) * (1 + math.cos(math.pi * progress)) / 2"
        else:
            formula = f"{start} + ({end} - {start}) * (1 - math.cos(math.pi * progress)) / 2"
        waves = whole(self.restarts) + 1
        progress = ramp.progress if waves == 1 else f"{ramp.progress.replace('= ', f'= {waves} * ')} % 1"
        return [progress, f"return {formula}"]
