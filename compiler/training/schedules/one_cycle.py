"""one_cycle: the rate rises high and falls to next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import ClassVar

from ..base import OptionFault
from ..stage import Ramp, StageTo
from ..values import Part


class OneCycle(StageTo):
    """`one_cycle(rise = 30%, start = 4%, to = 0)`: half a wave up to the peak, and half a wave down (Smith and Topin
    2018).

    It begins at `start` and ends at `to`, parts of the peak; `rise` is the part of its length that goes up. With a
    length, `one_cycle(80%, to = 1%)`, it takes that part of the run, and more may follow. Momentum stays.
    """

    word: ClassVar[str] = "one_cycle"
    example: ClassVar[str] = "one_cycle(rise = 30%)"
    spellings: ClassVar[dict[str, str]] = {"pct_start": "rise"}

    rise: Part = 0.3
    start: Part = 0.04

    @property
    def begins_at(self) -> Fraction:
        return Fraction(self.start.value)

    def faults(self) -> Iterator[OptionFault]:
        yield from super().faults()
        if not 0 < Fraction(self.rise.value) < 1:
            message = "`one_cycle` goes up and down, and `rise` is the part of it that goes up"
            help = "write `cosine(to = 0)` for a rate that only falls, `warmup(..)` for one that only rises"
            yield OptionFault("wrong-value", message, "rise", "goes one way only", help)

    def code(self, ramp: Ramp) -> list[str]:
        start, peak, end = (ramp.rate(factor) for factor in (self.begins_at, Fraction(1), ramp.end))
        rising = f"{start} + ({peak} - {start})" if self.begins_at else peak
        falling = f"{end} + ({peak} - {end})" if ramp.end else peak
        rise = ramp.of_length(Fraction(self.rise.value))
        named = not rise.replace("_", "").isdecimal()
        up = "rise" if named else rise
        return [
            *([f"rise = {rise}"] if named else []),
            f"if step < {up}:",
            f"    progress = step / {up}",
            f"    return {rising} * (1 - math.cos(math.pi * progress)) / 2",
            f"progress = (step - {up}) / ({ramp.length} - {up})",
            f"return {falling} * (1 + math.cos(math.pi * progress)) / 2",
        ]
