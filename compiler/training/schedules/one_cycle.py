"""one_cycle: the rate rises high and falls to next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

from ..base import OptionFault
from ..stage import ScheduleStage, has_a_target
from ..values import Part, PartOrNone, TrainLength


class OneCycle(ScheduleStage):
    """`one_cycle(rise = 30%, start = 4%, to = 0)`: half a wave up to the peak, and half a wave down (Smith and Topin
    2018).

    It begins at `start` and ends at `to`, parts of the peak; `rise` is the part of its length that goes up. With a
    length, `one_cycle(80%, to = 1%)`, it takes that part of the run, and more may follow.
    """

    word: ClassVar[str] = "one_cycle"
    example: ClassVar[str] = "one_cycle(rise = 30%)"
    runs: ClassVar[bool] = False
    begins_at: ClassVar[Fraction] = Fraction(0)
    spellings: ClassVar[dict[str, str]] = {"pct_start": "rise"}

    length: TrainLength = None
    to: PartOrNone = None
    rise: Part = 0.3
    start: Part = 0.04

    def faults(self) -> Iterator[OptionFault]:
        yield from has_a_target(self.word, self.length, self.to)

    def leads_to(self, start: Fraction) -> Fraction:
        return Fraction(0) if self.to is None else Fraction(self.to.value)
