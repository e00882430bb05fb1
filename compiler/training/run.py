"""The keys of `train` that hold one number, flag or word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...grammar import tree
from ..build.arguments import show_value
from ..layers.options import Flag, PositiveOrNone, Whole, WholeOrNone, WholeOrZero
from ..options import BadOptions, OptionSet
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.report import Report
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


def read_run(lines: Mapping[str, tree.Binding], scope: Scope, report: Report) -> Run | None:
    """The plain settings, or None where one is wrong (reported)."""
    values: dict[str, Any] = {}
    for name in Run.options:
        if name in lines:
            value = evaluate(lines[name].value, scope, report)
            values[name] = value
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
