"""step_decay: the rate falls by a factor at given places of the run."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

from ..base import OptionFault
from ..lengths import Length
from ..stage import Ramp, ScheduleStage
from ..values import BelowOneAboveZero, TrainLengths


class StepDecay(ScheduleStage):
    """`step_decay(0.1, at = [30 * epoch, 60 * epoch])`: the rate is multiplied by `factor` at each place of `at`.

    The places are counted from the beginning of the run, and stand in order. It takes the rest of the run.
    """

    word: ClassVar[str] = "step_decay"
    example: ClassVar[str] = "step_decay(0.1, at = [50%, 75%])"
    spellings: ClassVar[dict[str, str]] = {"gamma": "factor", "milestones": "at", "step_size": "at = [{}]"}

    factor: BelowOneAboveZero
    at: TrainLengths

    @property
    def points(self) -> tuple[Length, ...]:
        return self.at

    def faults(self) -> Iterator[OptionFault]:
        for earlier, later in pairwise(self.at):
            if earlier.unit == later.unit and earlier.exact >= later.exact:
                message = "`at` takes places of the run in order"
                yield OptionFault("wrong-value", message, "at", f"{later} does not come after {earlier}", "sort them")
                return

    def leads_to(self, start: Fraction) -> Fraction:
        return start * Fraction(self.factor.value) ** len(self.at)

    def code(self, ramp: Ramp) -> list[str]:
        lines: list[str] = []
        factor = ramp.start
        for place in self.at:
            lines += [f"if step < {ramp.updates(place)}:", f"    return {ramp.rate(factor)}"]
            factor *= Fraction(self.factor.value)
        return [*lines, f"return {ramp.rate(factor)}"]
