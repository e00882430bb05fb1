"""`check --data`: the data opened, and held against the model and the recipe that use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..grammar import tree
from ..grammar.diagnostics import Diagnostic
from ..grammar.source import Span
from ..runtime.errors import Refused, RuntimeFault

if TYPE_CHECKING:
    from ..compiler.pipeline import Analysis


def check_recipes(analysis: Analysis, base: Path) -> list[Diagnostic]:
    """What does not fit between each recipe of a file and its data; `base` is the folder of the spec."""
    return [found for name in analysis.recipes for found in _check(analysis, name, base)]


def _check(analysis: Analysis, recipe: str, base: Path) -> Iterator[Diagnostic]:
    from ..compiler.pipeline import emit
    from ..runtime.data import check_data, open_data
    from ..runtime.schedule_fit import check_schedule
    from ..runtime.settings import read_settings

    assert analysis.spec is not None
    train = analysis.spec.scope.recipes[recipe]
    if train.model.text not in analysis.graphs:
        return
    settings = emit(analysis, recipe).settings
    assert settings is not None
    place = _line("data", train)
    try:
        options = read_settings(settings)
        data = open_data(dict(options.data), base=base, seed=options.seed)
        messages = check_data(options, data)
    except RuntimeFault as fault:
        for one in fault.each:
            yield Diagnostic("bad-data", one.message, place, "cannot be used", help=one.help)
        return
    for note in data.notes:
        yield Diagnostic("unfit-data", note, place, severity="note")
    told = {found.code for found in analysis.diagnostics if _lies_in(found.span, train.span)}
    for message in messages:
        if message.told_as in told:
            continue
        label = "does not fit" if message.severity == "error" else ""
        yield Diagnostic("unfit-data", message.text, place, label, help=message.help, severity=message.severity)
    try:
        check_schedule(options, len(data.train))
    except Refused as fault:
        labels = ((place, f"{len(data.train):,} examples are trained on"),)
        schedule = _line("schedule", train)
        yield Diagnostic(
            "schedule-too-long", fault.message, schedule, "does not fit in", labels=labels, help=fault.help
        )


def _line(key: str, train: tree.Train) -> Span:
    lines = (line for line in train.body.lines if isinstance(line, tree.Binding) and line.name.text == key)
    return next((line.value.span for line in lines), train.span)


def _lies_in(span: Span, whole: Span) -> bool:
    return span.source is whole.source and whole.start <= span.start and span.end <= whole.end
