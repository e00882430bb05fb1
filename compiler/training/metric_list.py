"""The `metrics` of a recipe: a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.evaluate import Recipe
from .calls import choose, resolved
from .comparison import read_comparison
from .language import METRICS
from .measure import Metric, Value
from .names import Names
from .objective import Objective, terms


@dataclass(frozen=True)
class Measured:
    """A metric with its inputs, and the name under which it is logged."""

    metric: Metric
    said: Value
    true: Value
    name: str

    @property
    def asks_class(self) -> bool:
        """Whether what is true is a class for each row of what is said."""
        return self.metric.asks_class((self.said, self.true))


def read_metrics(flow: tree.Flow, objective: Objective | None, names: Names) -> tuple[Measured, ...] | None:
    """The metrics of a list (or the one that stands without brackets), or None (reported)."""
    entries = _entries(flow, names)
    found: list[tuple[Metric, Value, Value]] = []
    fits = True
    for entry in entries:
        if isinstance(entry, tree.Entry):
            help = "such as `metrics = [accuracy(logits, data.label)]`"
            names.report.error("wrong-value", "`metrics` takes a list of metrics", entry.span, "not one", help=help)
            fits = False
            continue
        bare, _ = resolved(entry, names.scope)
        if isinstance(bare, tree.Stage) and bare.args is None and bare.path.parts[0] in METRICS.words:
            read = _bare(bare, objective, names)
        else:
            compared = read_comparison(entry, "metrics", "metrics", Metric, METRICS, names)
            read = None if compared is None else (compared[0], compared[1][0], _known(compared[1][1], objective))
        if read is None:
            fits = False
        elif any(_alike(read, other) for other in found):
            names.report.error(
                "repeated-metric", "this metric is there already", entry.span, "once more", help="take it out"
            )
            fits = False
        else:
            found.append(read)
    return tuple(_named(found)) if fits else None


def _known(true: Value, objective: Objective | None) -> Value:
    """What is true, with what the loss says of it."""
    same = (
        [] if objective is None else [t for t in terms(objective) if len(t.values) > 1 and t.true.source == true.source]
    )
    return replace(true, entrywise=any(term.loss.compares_entries(term.values) for term in same))


def _entries(flow: tree.Flow, names: Names) -> tuple[tree.Flow | tree.Entry, ...]:
    """What stands in the list, which may be a constant of the file."""
    match flow:
        case tree.List(entries=entries):
            return entries
        case tree.Stage(path=tree.Path(parts=(name,)), args=None, body=None):
            listed = names.scope.find(name)
            if isinstance(listed, tuple) and all(isinstance(one, Recipe) for one in listed):
                return tuple(one.flow for one in listed)
    return (flow,)


def _bare(stage: tree.Stage, objective: Objective | None, names: Names) -> None:
    """`accuracy` alone: says what to write, from what the loss compares."""
    word = stage.path.parts[0]
    kind = choose(stage, "metrics", "metrics", Metric, METRICS, names.scope, names.report)
    if kind is None:
        return
    inputs = kind[0].takes
    compared = (term.values for term in ([] if objective is None else terms(objective)) if len(term.values) == 2)
    inputs = next((tuple(value.shown for value in values) for values in compared), inputs)
    text = f"{word}({', '.join(inputs)})"
    message = f"`{word}` has to say what it compares"
    names.report.error(
        "missing-input", message, stage.span, "no inputs", help=f"write `{text}`", fixes=(Fix(stage.span, text),)
    )


def _alike(a: tuple[Metric, Value, Value], b: tuple[Metric, Value, Value]) -> bool:
    return a[0].name == b[0].name and a[1].source == b[1].source and a[2].source == b[2].source


def _named(found: list[tuple[Metric, Value, Value]]) -> Iterator[Measured]:
    """Names by which metrics are told apart: `accuracy`, and where there are two of them `accuracy_coarse`."""
    for metric, said, true in found:
        twins = [(s, t) for m, s, t in found if m.name == metric.name]
        name = metric.name
        if len(twins) > 1:
            by_said = len({s.name for s, _ in twins}) == len(twins)
            by_true = len({t.name for _, t in twins}) == len(twins)
            parts = [said.name] if by_said else [true.name] if by_true else [said.name, true.name]
            name = "_".join([name, *filter(None, parts)])
        yield Measured(metric, said, true, name)
