"""The keys of `train` held against each other: what does not go together is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..semantics.arithmetic import spell
from ..semantics.bounds import least, limit
from ..semantics.number import Number, Reference, equal, opened, valued, whole, written
from ..semantics.report import Report
from ..semantics.tensor import Tensor
from .cadence import Patience
from .calls import Chosen
from .dataset import Data
from .lines import Lines, Section
from .measure import SetMetric
from .modules import ModuleName, frozen_path
from .optimizer import Optimizer
from .ports import Ports
from .run import Run
from .schedule import Schedule

if TYPE_CHECKING:  # of keys that most recipes do not have
    from .factors import Factor
    from .metric_list import Measured
    from .phases import Phase


def check_lengths(lines: Lines, settings: Run | None, report: Report) -> None:
    """One length of the run, one way to clip, and a batch that comes apart evenly."""
    _either("steps", "epochs", "a run is as long as its steps or its epochs say, not both", lines, report)
    _either("clip", "clip_value", "gradients are clipped by their norm or by value, not both", lines, report)
    if settings is not None and "accumulate" in lines and "batch" in lines:
        _divides(whole(settings.batch), whole(settings.accumulate), lines, report)


def _either(first: str, second: str, message: str, lines: Lines, report: Report) -> None:
    if first not in lines or second not in lines:
        return
    earlier, later = sorted((lines[first], lines[second]), key=lambda line: (_is_override(line.span), line.span.start))
    labels, help = ((earlier.span, "and this here"),), "take one of them out"
    if _is_override(later.span) and not _is_override(earlier.span):
        from ..semantics.meant_paths import in_place_of  # only this mistake waits for it

        help = f"write `{in_place_of(later.name.text, later.value.span.text)}`"
    report.error("conflict", message, later.span, "one too many", help=help, labels=labels)


def _is_override(span: Span) -> bool:
    """Whether it stands in a `--set`."""
    return span.source.name.startswith("--set ")


def _divides(batch: int, parts: int, lines: Lines, report: Report) -> None:
    if batch % parts == 0:
        return
    below, above = batch - batch % parts, batch + parts - batch % parts
    nearest = f"{below} or {above}" if below else f"{above}"
    report.error(
        "uneven-batch",
        f"a batch of {batch} cannot be computed in {parts} equal parts",
        lines["accumulate"].value.span,
        f"{batch} / {parts} is not whole",
        help=f"write `batch = {nearest}`" if not below else f"take a batch of {nearest}",
        labels=((lines["batch"].value.span, "the batch"),),
    )


def check_batch(rows: Number, settings: Run | None, ports: Ports, lines: Lines, report: Report) -> None:
    """What goes through the model at once is as its inputs' first dim says, `[32, 8]` or `[B <= 32, 8]`."""
    if settings is None or "batch" not in lines:
        return
    at_once, uneven = divmod(whole(settings.batch), whole(settings.accumulate))
    if uneven:
        return  # told already
    if rows.value is not None:
        if at_once != whole(rows):
            _fixed_batch(at_once, rows, ports, lines, report)
        return
    low, high = least(rows), limit(rows)
    if low is not None and at_once < low:
        nearest, side, other = low, "least", "more"
    elif high is not None and at_once > high:
        nearest, side, other = high, "most", "less"
    else:
        return
    place, batch = lines["batch"].value.span, spell(nearest * whole(settings.accumulate))
    message = f"{at_once} examples go through the model at once, and `{written(rows)}` is {spell(nearest)} at {side}"
    help, fixes = f"write `batch = {batch}` or {other}", (Fix(place, batch),)
    report.error("conflict", message, place, f"{at_once} at once", help=help, fixes=fixes)


def _fixed_batch(at_once: int, rows: Number, ports: Ports, lines: Lines, report: Report) -> None:
    """A number where the dim of the batch stands: the model would take no other, in training or behind it."""
    known = {name: t for name, t in (*ports.inputs.items(), *ports.outputs.items()) if isinstance(t, Tensor)}
    of_batch = {name: t for name, t in known.items() if t.rank and equal(t.dims[0], rows)}
    taken = {str(reference.name) for t in known.values() for dim in t.dims for reference in opened(dim)}
    free = next(name for name in ("B", "N", "Batch", "Examples") if name not in taken)
    dim = Reference(free, "open", "batch")
    listed = ", ".join(f"`{name}: {Tensor(t.dtype, (dim, *t.dims[1:]))}`" for name, t in of_batch.items())
    labels = tuple(
        (ports.spans[name], f"takes {written(rows)} at once")
        for name in ports.inputs
        if name in of_batch and name in ports.spans
    )
    report.error(
        "conflict",
        f"{at_once} examples go through the model at once, and {ports.model} takes exactly {valued(rows)}",
        lines["batch"].value.span,
        f"{at_once} at once",
        help=f"write `{free}` in place of `{written(rows)}`, for any number of examples: {listed}",
        labels=labels[:1],
    )


# --- what looks at validations ---------------------------------------------------------------------------------------


def check_validation(section: Section, data: Data | None, watched: Span | None, report: Report) -> None:
    """What looks at validations has some, and data to validate on. `watched` is the place of what does."""
    lines = section.lines
    if watched is not None and "validate" in section.declined:
        message = "this looks at validations, and `validate = none` says that there are none before the end"
        line = section.declined["validate"]
        fixes = (Fix(line.value.span, "every(epoch)"),)
        help, labels = "write `validate = every(epoch)`", ((line.span, "none here"),)
        report.error("needs-validation", message, watched, "nothing to look at", help=help, labels=labels, fixes=fixes)
    if data is None or data.source.options.validates():
        return
    keys = ["validate", "early_stop"]
    if watched is not None and "schedule" in lines and watched.start == lines["schedule"].value.span.start:
        keys.append("schedule")
    for key in keys:
        if key in lines:
            report.error(
                "needs-validation",
                f"`{key}` needs a part of the data for validation, and `{data.source.options.word}` keeps none",
                lines[key].span,
                "nothing to validate on",
                help="give the `split` a part for validation, such as [0.9, 0.1]",
                labels=((data.source.span, "all of it is trained on"),),
            )


def check_watched(
    early_stop: Chosen[Patience] | None,
    schedule: Schedule | None,
    metrics: Sequence[Measured] | None,
    phases: Sequence[Phase],
    lines: Lines,
    report: Report,
) -> None:
    """What is watched is measured; `metrics` is None where nobody knows all of what is."""
    losses = [f"validation.{phase.name}_loss" for phase in phases] or ["validation.loss"]
    measured = [*losses, *(f"validation.{metric.name}" for metric in metrics or ())]
    watched = [] if early_stop is None else [(early_stop.options.on, early_stop.place("on"))]
    for stage in () if schedule is None else schedule.stages:
        if stage.watches is not None:
            watched.append((stage.watches, lines["schedule"].value.span))
    for on, place in watched:
        if on not in measured and not (metrics is None and on.startswith("validation.")):
            listed = ", ".join(f'"{name}"' for name in measured)
            help = f"`on` takes {'one of ' if len(measured) > 1 else ''}{listed}"
            report.error("unknown-name", f'nothing is measured as "{on}"', place, "not measured", help=help)


def check_texts(metrics: Sequence[Measured], data: Data | None, report: Report) -> None:
    """Metrics of texts have data that has a tokenizer."""
    if data is None or data.source.options.tokenizes():
        return
    for measured in metrics:
        if isinstance(measured.metric, SetMetric) and measured.metric.decodes:
            word, source = measured.metric.word, data.source.options.word
            report.error(
                "needs-text",
                f"`{word}` compares texts, and `{source}` has no tokenizer to make them with",
                measured.said.span,
                "no text",
                help="take it out, or train on `pairs(..)` or `text(..)`",
                labels=((data.source.span, "the data"),),
            )


# --- samples ---------------------------------------------------------------------------------------------------------


def check_sample(lines: Lines, data: Data | None, ports: Ports, report: Report) -> None:
    """A model that writes text, and data that has a tokenizer for it."""
    if data is None:
        return
    if data.source.options.tokenizes():
        _writes_on(lines, ports, report)
        return
    report.error(
        "needs-text",
        f"`sample` writes text, and `{data.source.options.word}` has no tokenizer to write it with",
        lines["sample"].span,
        "no text to go on with",
        help="take it out, or train on `text(..)`",
        labels=((data.source.span, "the data"),),
    )


def _writes_on(lines: Lines, ports: Ports, report: Report) -> None:
    """`sample` asks the model for one token after the other: int[B, T] in, [B, T, vocab] out."""
    inputs = [t for t in ports.inputs.values() if isinstance(t, Tensor)]
    outputs = [t for t in ports.outputs.values() if isinstance(t, Tensor)]
    if len(inputs) < len(ports.inputs) or len(outputs) < len(ports.outputs):
        return
    reads = [(t.dtype, t.rank) for t in inputs] == [("int", 2)]
    if reads and outputs and outputs[0].rank == 3:
        return
    report.error(
        "needs-text",
        f"`sample` asks for one token after the other, and {ports.model} is no model of that",
        lines["sample"].span,
        "cannot write on",
        help="a model that writes takes int[B, T] and gives [B, T, vocab]: take `sample` out",
    )


# --- what learns, and how fast ---------------------------------------------------------------------------------------


def check_learning(
    freeze: Sequence[ModuleName],
    rates: Sequence[Factor],
    phases: Sequence[Phase],
    ports: Ports,
    lines: Lines,
    report: Report,
) -> None:
    """Nothing that is frozen is told to learn, and something learns."""
    frozen = {name.text: name for name in freeze}
    others = [(factor.module, "has a rate") for factor in rates]
    others += [(name, f"is updated in the phase `{phase.name}`") for phase in phases for name in phase.update]
    for name, what in others:
        if name.text in frozen:
            message = f"`{name.text}` is frozen, and {what}"
            labels = ((frozen[name.text].span, "frozen here"),)
            report.error("conflict", message, name.span, "does not learn", help="take one out", labels=labels)
    modules = ports.modules or ()
    if freeze and modules and all(frozen_path(path, freeze, rates) for path in modules):
        message = f"all of {ports.model} is frozen: nothing is left to learn"
        report.error("nothing-to-train", message, lines["freeze"].value.span, "every module", help="leave one out")


def check_schedule_free(
    optimizer: Chosen[Optimizer] | None, schedule: Schedule | None, lines: Lines, report: Report
) -> None:
    """An optimizer that averages its weights takes no rate that falls, and no other average."""
    if optimizer is None or optimizer.options.word != "ScheduleFreeAdamW":
        return
    if "ema" in lines:
        message = f"`{optimizer.options.word}` averages its weights itself, and `ema` would average what it averages"
        labels = ((optimizer.span, "averages them"),)
        report.error("conflict", message, lines["ema"].span, "one too many", help="take it out", labels=labels)
    if schedule is None:
        return
    falling = next((stage.word for stage in schedule.stages if stage.falls), None)
    if falling is not None:
        message = f"`{optimizer.options.word}` averages weights in place of a rate that falls, and `{falling}` falls"
        help = "write `schedule = warmup(5%)`, or take the line out"
        labels = ((optimizer.span, "needs no schedule"),)
        report.error("conflict", message, lines["schedule"].value.span, "falls", help=help, labels=labels)
