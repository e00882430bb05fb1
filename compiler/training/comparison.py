"""A call of a loss or metric: its inputs stand first (what the model says, what is true), then options."""

from __future__ import annotations

from typing import TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.number import Reference, equal, valued, whole, written
from ..semantics.report import Report
from .calls import choose, read_call
from .language import Vocabulary
from .measure import Measure, Misfit, Value, width
from .names import Names

Kind = TypeVar("Kind", bound=Measure)


def read_comparison(
    flow: tree.Flow, key: str, folder: str, kind: type[Kind], vocabulary: Vocabulary, names: Names
) -> tuple[Kind, tuple[Value, ...]] | None:
    """The class and its inputs, or None where they do not go together (reported)."""
    chosen = choose(flow, key, folder, kind, vocabulary, names.scope, names.report)
    if chosen is None:
        return None
    measure, stage, scope = chosen
    inputs, others = _inputs(measure, stage, names)
    given = None if inputs is None else [names.value(flow) for flow in inputs]
    read = read_call(measure, others, scope, names.report)
    # With a fault in its options the inputs are still held against each other, as if these were left out.
    optional = not any(field.required for field in measure.options.values())
    options = read.options if read is not None else measure() if optional else None
    if inputs is None or given is None or options is None:
        return None
    values = tuple(value for value in given if value is not None)
    if len(values) < len(given):
        return None
    if measure.one_sided and len(values) == 2 and values[0].origin != "output" and values[1].origin == "output":
        _swapped(measure, values, inputs, names)
        return None
    fits = _fits(options, values, names)
    return (options, values) if fits and read is not None else None


def _inputs(measure: type[Measure], stage: tree.Stage, names: Names) -> tuple[tuple[tree.Flow, ...] | None, tree.Stage]:
    """The flows that stand first and those given as sides, and the call with what is left."""
    args = stage.args or ()
    wanted = len(measure.takes)
    first = tuple(arg for arg in args[:wanted] if not isinstance(arg, tree.Keyword))
    sides = tuple(arg for arg in args if isinstance(arg, tree.Keyword) and arg.name.text in measure.sides)
    others = tuple(arg for arg in args if arg not in (*first, *sides))
    rest = tree.Stage(stage.path, others if stage.args is not None else None, span=stage.span)
    if len(first) == wanted:
        return (*first, *(side.value for side in sides)), rest
    counts = ["none", "one", "two", "three"]
    message = f"`{measure.word}` takes {counts[wanted]} inputs first, and this has {counts[len(first)]}"
    better = [*_meant(measure, first, names), *(arg.span.text for arg in args[len(first) :])]
    help = f"write `{measure.word}({', '.join(better)})`"
    names.report.error("missing-input", message, stage.span, "what to compare?", help=help)
    return None, rest


def _meant(measure: type[Measure], first: tuple[tree.Flow, ...], names: Names) -> list[str]:
    """The inputs as they may be written: those that are there, and for the others outputs and a field of the data that
    there are."""
    given = [flow.span.text for flow in first]
    fields, outputs = names.fields or {}, [name for name in names.ports.outputs if name not in given]
    asked = [name for name in ("targets", "label", "target", "y") if name in fields]
    meant: list[str] = []
    for name in measure.takes:
        of_data, field = name.startswith("data."), name.removeprefix("data.")
        fitting = next((one for one in given if one.startswith("data.") == of_data), None)
        fitting = given[0] if fitting is None and given and not measure.one_sided else fitting
        if fitting is not None:
            meant.append(fitting)
            given.remove(fitting)
        elif of_data:
            meant.append(f"data.{asked[0]}" if asked and field not in fields else name)
        else:
            meant.append(name if name in outputs or not outputs else outputs[0])
            outputs = [one for one in outputs if one != meant[-1]]
    return meant


def _swapped(measure: type[Measure], values: tuple[Value, ...], inputs: tuple[tree.Flow, ...], names: Names) -> None:
    first, second = inputs
    text = f"{second.span.text}, {first.span.text}"
    names.report.error(
        "swapped-inputs",
        f"`{measure.word}` takes what the model says first, then what is true",
        first.span.to(second.span),
        f"`{values[1].shown}` is the output",
        help=f"write `{measure.word}({text})`",
        fixes=(Fix(first.span.to(second.span), text),),
    )


def _fits(measure: Measure, values: tuple[Value, ...], names: Names) -> bool:
    """Whether they go together. What is wrong with a pair is told once, by the loss or the first metric of it."""
    if not values:
        return True
    pair = (values[0].source, values[-1].source)
    report = Report()
    fits = _takes_logits(measure, values[0], names, report)
    try:
        measure.check(values)
    except Misfit as misfit:
        fits = False
        report.error(misfit.code, misfit.message, misfit.place.span, misfit.label, help=misfit.help)
    if fits and measure.asks_class(values):
        fits = _wide_enough(values[0], values[1], names, report)
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
    code, help = measure.head_help
    report.error(
        code,
        f"`{measure.word}` {measure.heads[ending]}, and `{said.shown}` ends in `{ending}`",
        said.span,
        f"the output of `{ending}`",
        help=help.format(ending=ending),
        labels=() if declared is None else ((declared, "the output"),),
        # Its logarithm of a softmax is its own argument: worked out twice, and right.
        severity="warning" if ending == "log_softmax" else "error",
    )
    return ending == "log_softmax"


def _wide_enough(said: Value, true: Value, names: Names, report: Report) -> bool:
    """The head is as wide as the data has classes; a vocabulary may be rounded up, not down."""
    classes = None if true.field is None else true.field.classes
    have = width(said)
    if classes is None or have is None or names.data is None or equal(have, classes):
        return True
    source = names.data.source.options
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
        help=f"{_entries(whole(have) - whole(classes))} of it will never be asked for"
        if rounded
        else f"write `{have.name} = {written(classes)}`"
        if isinstance(have, Reference) and have.kind == "constant"
        else f"make its last layer {written(classes)} wide",
        labels=((names.data.source.span, f"{valued(classes)} {what}"),),
        severity="warning" if rounded else "error",
    )
    return rounded


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
