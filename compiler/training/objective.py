"""The `loss` of a recipe, an expression over losses, and its `metrics`, a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.evaluate import FAULT, evaluate, is_number
from ..semantics.number import Number, Reference, equal, whole, written
from .calls import choose, read_call, resolved
from .language import LOSSES, METRICS, Vocabulary
from .measure import Loss, Measure, Metric, Misfit, Value, width
from .names import Names
from .spelling import valued

Kind = TypeVar("Kind", bound=Measure)


@dataclass(frozen=True)
class LossTerm:
    loss: Loss
    said: Value
    true: Value


@dataclass(frozen=True)
class Scaled:
    """`factor * of`, or `of / factor`."""

    factor: Number
    of: Objective
    divides: bool = False


@dataclass(frozen=True)
class Sum:
    """`left + right` or `left - right`."""

    operator: str
    left: Objective
    right: Objective


Objective: TypeAlias = "LossTerm | Scaled | Sum"


@dataclass(frozen=True)
class Measured:
    """A metric with its inputs, and the name under which it is logged."""

    metric: Metric
    said: Value
    true: Value
    name: str


def terms(objective: Objective) -> Iterator[LossTerm]:
    """The losses of an expression, from left to right."""
    match objective:
        case LossTerm():
            yield objective
        case Scaled(of=of):
            yield from terms(of)
        case Sum(left=left, right=right):
            yield from terms(left)
            yield from terms(right)


# --- loss ------------------------------------------------------------------------------------------------------


def read_loss(flow: tree.Flow, names: Names) -> Objective | None:
    """The loss that is written, or None (reported)."""
    objective = _expression(flow, names)
    if objective is None:
        return None
    found = list(terms(objective))
    if not any(v.origin == "output" for term in found for v in (term.said, term.true)):
        outputs = ", ".join(f"`{name}`" for name in names.ports.outputs)
        message = f"this loss does not depend on {names.ports.model}: no output stands in it"
        names.report.error("nothing-to-train", message, flow.span, "no output here", help=f"the outputs are {outputs}")
        return None
    return objective if _one_ignored(found, names) else None


def _expression(flow: tree.Flow, names: Names) -> Objective | None:
    flow, _ = resolved(flow, names.scope)
    match flow:
        case tree.Binary(operator="+" | "-" as operator, left=left, right=right):
            first, second = _expression(left, names), _expression(right, names)
            return None if first is None or second is None else Sum(operator, first, second)
        case tree.Binary(operator="*", left=left, right=right):
            factor, of = (left, right) if _is_factor(left, names) else (right, left)
            return _scaled(factor, of, names, divides=False)
        case tree.Binary(operator="/", left=left, right=right):
            return _scaled(right, left, names, divides=True)
        case tree.Stage():
            return _term(flow, names)
    help = "such as `cross_entropy(logits, data.label)`, or a sum of several: `a + 0.5 * b`"
    names.report.error("wrong-value", "`loss` takes a loss", flow.span, "not a loss", help=help)
    return None


def _is_factor(flow: tree.Flow, names: Names) -> bool:
    """Whether a side of `*` is a number and not a loss."""
    match flow:
        case tree.Number() | tree.Percent() | tree.Negate():
            return True
        case tree.Binary(left=left, right=right):
            return _is_factor(left, names) and _is_factor(right, names)
        case tree.Stage(path=tree.Path(parts=(name,)), args=None):
            return is_number(names.scope.find(name))
    return False


def _scaled(factor: tree.Flow, of: tree.Flow, names: Names, *, divides: bool) -> Objective | None:
    number = evaluate(factor, names.scope, names.report)
    objective = _expression(of, names)
    if number is FAULT or objective is None:
        return None
    if not is_number(number) or not number.value:
        message = "a loss is multiplied by a number other than 0"
        names.report.error("wrong-value", message, factor.span, "not such a number", help="such as `0.5 * mse(..)`")
        return None
    return Scaled(number, objective, divides)


def _term(flow: tree.Stage, names: Names) -> LossTerm | None:
    found = _measure(flow, "loss", "losses", Loss, LOSSES, names)
    return None if found is None else LossTerm(*found)


def _one_ignored(found: list[LossTerm], names: Names) -> bool:
    """Entries that do not count are counted once for the whole loss: all class losses have to agree on them."""
    classes = [term for term in found if term.loss.counts_classes]
    for term in classes[1:]:
        first, second = classes[0].loss.ignored, term.loss.ignored
        same = first is second or (first is not None and second is not None and equal(first, second))
        if not same:
            message = "the losses of one recipe ignore the same targets"
            label = f"ignores {'nothing' if second is None else written(second)}"
            other = f"ignores {'nothing' if first is None else written(first)}"
            labels = ((classes[0].said.span, other),)
            help = f"write `ignore = {written(first or second)}` in both"  # type: ignore[arg-type]
            names.report.error("conflict", message, term.said.span, label, labels=labels, help=help)
            return False
    return True


# --- metrics ---------------------------------------------------------------------------------------------------


def read_metrics(flow: tree.Flow, objective: Objective | None, names: Names) -> tuple[Measured, ...] | None:
    """The metrics of a list (or the one that stands without brackets), or None (reported)."""
    entries = flow.entries if isinstance(flow, tree.List) else (flow,)
    found: list[tuple[Metric, Value, Value]] = []
    places: list[tree.Node] = []
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
            read = _measure(entry, "metrics", "metrics", Metric, METRICS, names)
        if read is None:
            fits = False
        elif any(_alike(read, other) for other in found):
            names.report.error(
                "repeated-metric", "this metric is there already", entry.span, "once more", help="take it out"
            )
            fits = False
        else:
            found.append(read)
            places.append(entry)
    return tuple(_named(found)) if fits else None


def _bare(stage: tree.Stage, objective: Objective | None, names: Names) -> None:
    """`accuracy` alone: says what to write, from what the loss compares."""
    word = stage.path.parts[0]
    kind = choose(stage, "metrics", "metrics", Metric, METRICS, names.scope, names.report)
    if kind is None:
        return
    said, true = kind[0].takes
    if objective is not None:
        first = next(terms(objective))
        said, true = first.said.shown, first.true.shown
    text = f"{word}({said}, {true})"
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


# --- what both are: a call whose inputs come first -------------------------------------------------------------


def _measure(
    flow: tree.Flow, key: str, folder: str, kind: type[Kind], vocabulary: Vocabulary, names: Names
) -> tuple[Kind, Value, Value] | None:
    chosen = choose(flow, key, folder, kind, vocabulary, names.scope, names.report)
    if chosen is None:
        return None
    measure, stage, scope = chosen
    inputs, others = _inputs(measure, stage, names)
    if inputs is None:
        return None
    values = [names.value(flow) for flow in inputs]
    read = read_call(measure, others, scope, names.report)
    if read is None or values[0] is None or values[1] is None:
        return None
    said, true = values[0], values[1]
    if measure.one_sided and said.origin != "output" and true.origin == "output":
        _swapped(measure, said, true, inputs, names)
        return None
    return (read.options, said, true) if _fits(read.options, said, true, names) else None


def _inputs(
    measure: type[Measure], stage: tree.Stage, names: Names
) -> tuple[tuple[tree.Flow, tree.Flow] | None, tree.Stage]:
    """The two flows that stand first, and the call with what is left."""
    args = stage.args or ()
    first = tuple(arg for arg in args[:2] if not isinstance(arg, tree.Keyword))
    if len(first) == 2:
        said, true = first
        return (said, true), tree.Stage(stage.path, args[2:], span=stage.span)
    said, true = measure.takes
    message = f"`{measure.word}` takes two inputs first, and this has {['none', 'one'][len(first)]}"
    help = f"write `{measure.word}({said}, {true})`"
    names.report.error("missing-input", message, stage.span, "what to compare?", help=help)
    return None, stage


def _swapped(
    measure: type[Measure], said: Value, true: Value, inputs: tuple[tree.Flow, tree.Flow], names: Names
) -> None:
    first, second = inputs
    text = f"{second.span.text}, {first.span.text}"
    names.report.error(
        "swapped-inputs",
        f"`{measure.word}` takes what the model says first, then what is true",
        first.span.to(second.span),
        f"`{true.shown}` is the output",
        help=f"write `{measure.word}({text})`",
        fixes=(Fix(first.span.to(second.span), text),),
    )


def _fits(measure: Measure, said: Value, true: Value, names: Names) -> bool:
    ending = names.ports.ends_in.get(said.name) if said.origin == "output" else None
    if ending in measure.heads:
        declared = names.ports.spans.get(said.name)
        names.report.error(
            "softmax-head",
            f"`{measure.word}` {measure.heads[ending]}, and `{said.shown}` ends in `{ending}`",
            said.span,
            f"the output of `{ending}`",
            help=f"take `{ending}` out of the model",
            labels=() if declared is None else ((declared, "the output"),),
            severity="warning" if ending == "log_softmax" else "error",
        )
        if ending != "log_softmax":
            return False
    try:
        measure.check(said, true)
    except Misfit as misfit:
        names.report.error(misfit.code, misfit.message, misfit.place.span, misfit.label, help=misfit.help)
        return False
    return not isinstance(measure, Loss | Metric) or not measure.counts_classes or _wide_enough(said, true, names)


def _wide_enough(said: Value, true: Value, names: Names) -> bool:
    """The head is as wide as the data has classes; a vocabulary may be rounded up, not down."""
    classes = None if true.field is None else true.field.classes
    have = width(said)
    if classes is None or have is None or names.source is None or equal(have, classes):
        return True
    source = names.source.options
    wider = whole(have) > whole(classes)
    rounded = wider and source.vocabulary
    what = "tokens" if source.vocabulary or source.tokenizes() else "classes"
    message = (
        f"`{said.shown}` is {valued(have)} wide, and `{true.shown}` of `{source.word}` has {valued(classes)} {what}"
    )
    names.report.error(
        "head-width",
        message,
        said.span,
        f"{said.type} here",
        help=f"{whole(have) - whole(classes):,} entries of it will never be asked for"
        if rounded
        else f"write `{have.name} = {written(classes)}`"
        if isinstance(have, Reference) and have.kind == "constant"
        else f"make its last layer {written(classes)} wide",
        labels=((names.source.span, f"{valued(classes)} {what}"),),
        severity="warning" if rounded else "error",
    )
    return rounded
