"""The learning rate as a closed form of the step: `learning_rate` in an emitted recipe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ...semantics.arithmetic import spell
from ...semantics.number import Number
from ...training.lengths import Length
from ...training.schedule import Schedule
from ...training.spelling import grouped, is_plain, real_text, whole_text
from ...training.stage import Ramp, ScheduleStage
from .function import docstring

_ENDS = {"warmup": "warm", "stable": "held", "constant": "held"}


@dataclass(frozen=True)
class _Updates:
    """A number of updates: its text, and its value where that is known when the spec is compiled."""

    text: str
    known: int | None = None


_START = _Updates("", 0)


def write_learning_rate(schedule: Schedule, peak: Number, run: Length, name: str = "learning_rate") -> list[str]:
    """The lines of a function; it takes what it needs of `step`, `steps` (of the run) and `epoch` (of one pass)."""
    body = _Body(peak, run)
    begin, after = _START, Fraction(1)
    for stage, (start, end) in zip(schedule.stages, schedule.factors(), strict=True):
        after = end
        length = None if stage.takes is None else _updates(stage.takes, run)
        if length is None:
            body.last(stage, start, end, begin)
            break
        if length.known != 0:
            begin = body.stage(stage, start, end, begin, length)
        if begin.known is not None and run.unit == "steps" and begin.known >= run.exact:
            break
    else:
        body.lines.append(f"return {body.rate(after)}")
    return _function(name, body)


class _Body:
    def __init__(self, peak: Number, run: Length) -> None:
        self.peak, self.run = peak, run
        self.lines: list[str] = []
        self.ends: set[str] = set()
        self.about = ""
        text = real_text(peak)
        # A formula is worked out once; a plain number is written where it is used.
        self.peak_text = text if is_plain(text) else "peak"
        if not is_plain(text):
            self.lines.append(f"peak = {text}")

    def rate(self, factor: Fraction) -> str:
        """The text of a part of the peak: `6e-5` for a tenth of 6e-4."""
        if factor == 1:
            return self.peak_text
        if factor == 0:
            return "0.0"
        if self.peak_text == "peak":
            return f"{spell(factor)} * peak"
        return spell(factor * Fraction(self.peak.value or 0))

    def stage(
        self, stage: ScheduleStage, start: Fraction, end: Fraction, begin: _Updates, length: _Updates
    ) -> _Updates:
        """A stage that others follow; returns where it ends."""
        ends = self._end(stage, begin, length)
        span = (
            length.text
            if length.known is not None
            else ends.text
            if not begin.text
            else f"({ends.text} - {begin.text})"
        )
        known = length.known if begin.known == 0 else None
        ramp = Ramp(start, end, begin.text, span, self.rate, self._text, _part_of(_Updates(span, known)))
        self.lines += [f"if step < {ends.text}:", *(f"    {line}" for line in stage.code(ramp))]
        return ends

    def last(self, stage: ScheduleStage, start: Fraction, end: Fraction, begin: _Updates) -> None:
        """The stage that has the rest of the run."""
        total = whole_text(self.run.count) if self.run.unit == "steps" else "steps"
        span = f"({total} - {begin.text})" if begin.text else total
        known = int(self.run.exact) if self.run.unit == "steps" and not begin.text else None
        part = _part_of(_Updates(span, known))
        self.lines += stage.code(Ramp(start, end, begin.text, span, self.rate, self._text, part))
        self.about = stage.about

    def _text(self, length: Length) -> str:
        return _updates(length, self.run).text

    def _end(self, stage: ScheduleStage, begin: _Updates, length: _Updates) -> _Updates:
        if begin.known is not None and length.known is not None:
            end = begin.known + length.known
            return _Updates(length.text if begin.known == 0 else grouped(end), end)
        name = _ENDS.get(stage.word, "lowered")
        number = 1
        while f"{name}_{number}" in self.ends or (number == 1 and name in self.ends):
            number += 1
        name = name if number == 1 else f"{name}_{number}"
        self.ends.add(name)
        self.lines.append(f"{name} = {begin.text} + {length.text}" if begin.text else f"{name} = {length.text}")
        return _Updates(name)


def _part_of(length: _Updates) -> Callable[[Fraction], str]:
    """The text of a part of a length."""

    def text(part: Fraction) -> str:
        if length.known is not None:
            return grouped(round(part * length.known))
        return f"round({spell(part)} * {length.text})"

    return text


def _updates(length: Length, run: Length) -> _Updates:
    """A length in updates: known, or in terms of `steps` and `epoch`."""
    if length.unit == "steps":
        return _Updates(whole_text(length.count), int(length.exact))
    if length.unit == "part":
        if run.unit == "steps":
            known = round(length.exact * run.exact)
            return _Updates(grouped(known), known)
        return _Updates("steps" if length.exact == 1 else f"round({spell(length.exact)} * steps)")
    if length.exact == 1:
        return _Updates("epoch")
    if length.exact.denominator == 1:
        return _Updates(f"{whole_text(length.count)} * epoch")
    return _Updates(f"round({real_text(length.count)} * epoch)")


def _function(name: str, body: _Body) -> list[str]:
    text = "\n".join(body.lines)
    needs = [name for name in ("steps", "epoch", "falls") if re.search(rf"\b{name}\b", text)]
    doc = "The rate of update `step`, counted from 0"
    if not re.search(r"\bstep\b", text):
        doc = "The rate of every update"
    if "steps" in needs:
        doc += ", of `steps` in all"
    if "epoch" in needs:
        doc += "; a pass over the data takes `epoch`"
    if body.about:
        doc += f"; {body.about}"
    parameters = ", ".join(f"{name}: int" for name in ["step", *needs])
    head = f"def {name}({parameters}) -> float:"
    return [head, *docstring(f"{doc}.", "    "), *(f"    {line}" for line in body.lines)]
