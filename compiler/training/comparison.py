"""A call of a loss or metric: what the model says and what is true stand first, then options."""

from __future__ import annotations

from typing import TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.number import Reference, equal, whole, written
from ..semantics.report import Report
from .calls import choose, read_call
from .language import Vocabulary
from .measure import Measure, Misfit, Value, width
from .names import Names
from .spelling import valued

Kind = TypeVar("Kind", bound=Measure)


def read_comparison(
    flow: tree.Flow, key: str, folder: str, kind: type[Kind], vocabulary: Vocabulary, names: Names
) -> tuple[Kind, Value, Value] | None:
    """The class, what the model says and what is true, or None where they do not go together (reported)."""
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
    """Whether the two go together. What is wrong with a pair is told once, by the loss or the first metric of it."""
    pair = (said.source, true.source)
    report = Report()
    fits = _takes_logits(measure, said, names, report)
    try:
        measure.check(said, true)
    except Misfit as misfit:
        fits = False
        report.error(misfit.code, misfit.message, misfit.place.span, misfit.label, help=misfit.help)
    if fits and measure.counts_classes:
        fits = _wide_enough(said, true, names, report)
    if report.diagnostics and pair not in names.told:
        names.told.add(pair)
        for diagnostic in report.diagnostics:
            names.report.add(diagnostic)
    return fits


def _takes_logits(measure: Measure, said: Value, names: Names, report: Report) -> bool:
    """Whether the output ends in no layer that the measure has itself."""
    ending = names.ports.ends_in.get(said.name) if said.origin == "output" else None
    if ending not in measure.heads:
        return True
    declared = names.ports.spans.get(said.name)
    report.error(
        "softmax-head",
        f"`{measure.word}` {measure.heads[ending]}, and `{said.shown}` ends in `{ending}`",
        said.span,
        f"the output of `{ending}`",
        help=f"take `{ending}` out of the model",
        labels=() if declared is None else ((declared, "the output"),),
        # Its logarithm of a softmax is its own argument: worked out twice, and right.
        severity="warning" if ending == "log_softmax" else "error",
    )
    return ending == "log_softmax"


def _wide_enough(said: Value, true: Value, names: Names, report: Report) -> bool:
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
    report.error(
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
