"""What a stage of a schedule is: a part of the run in which the rate goes from one factor of its peak to another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import ClassVar

from ...grammar.frozen import Frozen
from .base import OptionFault, Options
from .lengths import Length
from .values import PartOrNone, TrainLength


class Ramp(Frozen):
    """A stage as the emitted function sees it.

    `start` and `end` are factors of the peak rate; `rate` is the text of such a rate; `begin` and `length` are texts
    of updates, `begin` empty for 0; `updates` is the text of any other length; `of_length` that of a part of this one.
    """

    start: Fraction
    end: Fraction
    begin: str
    length: str
    rate: Callable[[Fraction], str]
    updates: Callable[[Length], str]
    of_length: Callable[[Fraction], str]

    @property
    def since(self) -> str:
        """How many updates of the stage came before this one: a sum."""
        return f"step - {self.begin}" if self.begin else "step"

    @property
    def progress(self) -> str:
        """The line that says how much of the stage is over, from 0 to 1."""
        since = f"({self.since})" if self.begin else self.since
        return f"progress = {since} / {self.length}"


class ScheduleStage(Options):
    """A stage takes `length` of the run, or what is left of it."""

    falls: ClassVar[bool] = True
    """Whether it takes the rate down."""

    @property
    def begins_at(self) -> Fraction:
        """The factor of the peak rate at which a schedule begins that it stands first in."""
        return Fraction(1)

    @property
    def takes(self) -> Length | None:
        """Its length, or None where it goes on to the end of the run."""
        return getattr(self, "length", None)

    @property
    def points(self) -> tuple[Length, ...]:
        """The updates of the run at which something happens within it."""
        return ()

    @property
    def watches(self) -> str | None:
        """What it looks at in the validations of a run, such as "validation.loss"; None where it looks at none."""
        return None

    @property
    def about(self) -> str:
        """What it takes beside the step, for the docstring of the function."""
        return ""

    @abstractmethod
    def leads_to(self, start: Fraction) -> Fraction:
        """The factor of the peak rate at its end, where it begins at `start`."""

    @abstractmethod
    def code(self, ramp: Ramp) -> list[str]:
        """The lines that return the rate of update `step`, which lies within the stage."""


class StageTo(ScheduleStage):
    """A stage that goes to `to`, a part of the peak rate: 0 where it is left out.

    It has to be said where there is a length: `cosine(10%)` could be meant as either.
    """

    length: TrainLength = None
    to: PartOrNone = None

    def faults(self) -> Iterator[OptionFault]:
        if self.length is not None and self.to is None:
            word, length = self.word, self.length
            message = f"`{word}` with a length has to say where it goes: `{word}(10%)` could mean either"
            help = f"write `{word}({length}, to = 0)`, or `{word}(to = 0)` for the rest of the run"
            yield OptionFault("missing-option", message, "length", "a length, and no `to`", help)

    def leads_to(self, start: Fraction) -> Fraction:
        return Fraction(0) if self.to is None else Fraction(self.to.value)
