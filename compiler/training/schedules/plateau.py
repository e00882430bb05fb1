"""plateau: the rate falls where nothing gets better."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from ...layers.options import Whole
from ..stage import ScheduleStage
from ..values import BelowOneAboveZero, PartOrNone, Text


class Plateau(ScheduleStage):
    """`plateau(patience = 3, factor = 0.1)`: the rate is multiplied by `factor` after more than `patience` validations
    in a row without a new best.

    `on` names what is watched: the loss, or a metric such as "validation.accuracy". `to` is the part of the peak that
    the rate does not fall below. It takes the rest of the run. Where `validate` is left out, that is after each pass
    over the data.
    """

    word: ClassVar[str] = "plateau"
    example: ClassVar[str] = "plateau(patience = 3, factor = 0.1)"
    runs: ClassVar[bool] = False
    spellings: ClassVar[dict[str, str]] = {"min_lr": "to", "monitor": "on"}

    patience: Whole
    factor: BelowOneAboveZero = 0.1
    on: Text = "validation.loss"
    to: PartOrNone = None

    @property
    def watches(self) -> str:
        return self.on

    def leads_to(self, start: Fraction) -> Fraction:
        return start
