"""polynomial: the rate falls as a power of what is left."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..spelling import real_text
from ..stage import Ramp, StageTo


class Polynomial(StageTo):
    """`polynomial(to = 0, power = 2)`: the rate goes to `to`, a part of its peak (0 where it is left out), as
    `(1 - progress) ^ power`, by the end of the run.

    With a length, `polynomial(50%, to = 0)`, it takes that part of the run, and more may follow. `power` is 1 where
    it is left out: a straight line.
    """

    word: ClassVar[str] = "polynomial"
    example: ClassVar[str] = "polynomial(to = 0, power = 2)"
    spellings: ClassVar[dict[str, str]] = {"lr_end": "to", "total_iters": "length"}

    power: Positive = 1

    def code(self, ramp: Ramp) -> list[str]:
        start, end = ramp.rate(ramp.start), ramp.rate(ramp.end)
        if ramp.start == ramp.end:
            return [f"return {start}"]
        left = f"(1 - progress) ** {real_text(self.power)}" if self.power.value != 1 else "(1 - progress)"
        if ramp.end == 0:
            return [ramp.progress, f"return {start} * {left}"]
        return [ramp.progress, f"return {end} + ({start} - {end}) * {left}"]
