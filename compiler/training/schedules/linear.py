"""linear: the rate goes in a straight line."""

from __future__ import annotations

from typing import ClassVar

from ..stage import Ramp, StageTo


class Linear(StageTo):
    """`linear(to = 0)`: the rate goes in a straight line to `to`, a part of its peak (0 where it is left
    out), by the end of the run.

    With a length, `linear(20%, to = 10%)`, it takes that part of the run, and more may follow.
    """

    word: ClassVar[str] = "linear"
    example: ClassVar[str] = "linear(to = 0)"

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
