"""cosine: the rate follows half a wave."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import WholeOrZero
from ...semantics.number import whole
from ..stage import Ramp, StageTo


class Cosine(StageTo):
    """`cosine(to = 10%)`: the rate follows half a wave to `to`, a part of its peak (0 where it is left
    out), by the end of the run.

    (Loshchilov and Hutter 2017.) It begins and ends level. With a length, `cosine(50%, to = 10%)`, it takes that part
    of the run, and more may follow. With `restarts = 3` it jumps back to where it began three times: four waves of
    one length.
    """

    word: ClassVar[str] = "cosine"
    example: ClassVar[str] = "cosine(to = 10%)"
    spellings: ClassVar[dict[str, str]] = {"eta_min": "to", "min_lr": "to"}

    restarts: WholeOrZero = 0

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
