"""one_cycle: the rate rises high and falls to next to nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ..stage import StageTo
from ..values import Part


class OneCycle(StageTo):
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

    rise: Part = 0.3
    start: Part = 0.04
