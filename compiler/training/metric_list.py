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
from .spelling import value_text


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
        elif any(read[0].name == other[0].name and _told(read) == _told(other) for other in found):
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


def _named(found: list[tuple[Metric, Value, Value]]) -> Iterator[Measured]:
    """Names by which metrics are told apart: `accuracy`, and where there are two of them `accuracy_coarse`."""
    for one in found:
        twins = [_told(other) for other in found if other[0].name == one[0].name]
        way = next(way for way in _WAYS if len({tuple(twin[part] for part in way) for twin in twins}) == len(twins))
        parts = [_told(one)[part] for part in way] if len(twins) > 1 else []
        yield Measured(*one, name="_".join([one[0].name, *filter(None, parts)]))


# What may stand behind the name of a metric that there is more than once, the first that is another for each of them:
# places in what `_told` gives. An output and an input may have one name, and so may an input and a field of the data.
_WAYS = ((0,), (1,), (0, 1), (2,), (0, 2), (1, 2), (0, 1, 2), (3, 4, 2))


def _told(one: tuple[Metric, Value, Value]) -> tuple[str, str, str, str, str]:
    """What tells a metric from others of its name: what is said, what is true, its own part, and the two in full."""
    metric, said, true = one
    names = [value.name if value.number is None else value_text(value.number) for value in (said, true)]
    said_, true_ = (f"{value.origin}_{name}" for value, name in zip((said, true), names, strict=True))
    return names[0], names[1], metric.apart, said_, true_
