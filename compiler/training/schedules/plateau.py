"""plateau: the rate falls where nothing gets better."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ...layers.options import Whole
from ...semantics.number import whole
from ..spelling import is_plain, real_text, whole_text
from ..stage import Ramp, ScheduleStage
from ..values import BelowOneAboveZero, PartOrNone, Text


class Plateau(ScheduleStage):
    """`plateau(patience = 3, factor = 0.1)`: the rate is multiplied by `factor` after more than `patience` validations
    in a row without a new best, and the count begins again.

    `on` names what is watched: the loss, or a metric such as "validation.accuracy". `to` is the part of the peak that
    the rate does not fall below. It takes the rest of the run. Where `validate` is left out, that is after each pass
    over the data.
    """

    word: ClassVar[str] = "plateau"
    example: ClassVar[str] = "plateau(patience = 3, factor = 0.1)"
    spellings: ClassVar[dict[str, str]] = {"min_lr": "to", "monitor": "on"}

    patience: Whole
    factor: BelowOneAboveZero = 0.1
    on: Text = "validation.loss"
    to: PartOrNone = None

    @property
    def watches(self) -> str:
        return self.on

    @property
    def about(self) -> str:
        counted = "one validation" if whole(self.patience) == 1 else f"{whole_text(self.patience)} validations in a row"
        return f"`falls` counts the times that more than {counted} brought no new best of {self.on}"

    def leads_to(self, start: Fraction) -> Fraction:
        return start

    def code(self, ramp: Ramp) -> list[str]:
        factor = real_text(self.factor)
        power = f"{factor}**falls" if is_plain(factor) else f"({factor}) ** falls"
        rate = f"{ramp.rate(ramp.start)} * {power}"
        least = Fraction(0) if self.to is None else Fraction(self.to.value)
        return [f"return max({rate}, {ramp.rate(least)})" if least else f"return {rate}"]
