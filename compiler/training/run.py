"""The keys of `train` that hold one number, flag or word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.tree import walk
from ..build.arguments import show_value
from ..layers.options import Flag, PositiveOrNone, Whole, WholeOrNone, WholeOrZero
from ..options import BadOptions, OptionSet
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.number import written
from ..semantics.report import Report, Unheard
from .lengths import Length, read_length
from .values import DecayOrNone


class Run(OptionSet):
    """The plain settings of a run, with what they are where they are left out.

    `batch` is what one update sees, over all devices; `accumulate = n` computes it in n equal parts. `clip` scales the
    gradient down to that norm, `clip_value` cuts its entries off. `ema` is how much of the
    averaged weights, from which the model is validated and exported, stays in each step.
    """

    steps: WholeOrNone = None
    epochs: PositiveOrNone = None
    batch: Whole = 1
    accumulate: Whole = 1
    clip: PositiveOrNone = None
    clip_value: PositiveOrNone = None
    seed: WholeOrZero = 0
    deterministic: Flag = True
    ema: DecayOrNone = None
    compile: Flag = False


def _passes(flow: tree.Flow, scope: Scope) -> str | None:
    """How many passes over the data a number of steps is written as: `3` of `3 * epoch`."""
    if scope.find("epoch") is not None or not any(
        isinstance(n, tree.Path) and n.parts == ("epoch",) for n in walk(flow)
    ):
        return None
    length = read_length(flow, "steps", scope, Unheard())
    return written(length.count) if isinstance(length, Length) and length.unit == "epochs" else None


def _in_epochs(line: tree.Binding, passes: str, report: Report) -> Any:
    text, place = f"epochs = {passes}", line.span
    message, label = "`steps` counts updates, and `epochs` passes over the data", "passes over the data"
    report.error("wrong-value", message, line.value.span, label, help=f"write `{text}`", fixes=(Fix(place, text),))
    return FAULT


def read_run(lines: Mapping[str, tree.Binding], scope: Scope, report: Report) -> Run | None:
    """The plain settings, or None where one is wrong (reported)."""
    values: dict[str, Any] = {}
    for name in Run.options:
        if name in lines:
            flow = lines[name].value
            passes = _passes(flow, scope) if name == "steps" else None
            values[name] = evaluate(flow, scope, report) if passes is None else _in_epochs(lines[name], passes, report)
    if any(value is FAULT for value in values.values()):
        return None
    try:
        return Run(**values)
    except BadOptions as fault:
        for problem in fault.problems:
            name, takes = problem.option, str(problem.takes).removesuffix(" or none")
            label = f"this is {show_value(values[name])}"
            report.error("wrong-value", f"`{name}` takes {takes}", lines[name].value.span, label)
        return None
