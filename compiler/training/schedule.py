"""The `schedule` of a recipe: stages that follow each other, factors on the peak rate."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ..semantics.arithmetic import spell
from ..semantics.evaluate import Scope
from ..semantics.number import Literal, Number
from ..semantics.report import Report
from .calls import Chosen, choose, read_call, resolved
from .language import SCHEDULES
from .lengths import Length
from .stage import ScheduleStage


class Schedule(Frozen):
    """Stages in order; after the last the rate stays. Without a stage it is the peak all along."""

    stages: tuple[ScheduleStage, ...] = ()

    def factors(self) -> Iterator[tuple[Fraction, Fraction]]:
        """Of each stage, the factor of the peak at its begin and at its end."""
        factor = self.stages[0].begins_at if self.stages else Fraction(1)
        for stage in self.stages:
            start, factor = factor, stage.leads_to(factor)
            yield start, factor


def read_schedule(
    flow: tree.Flow, scope: Scope, run: Length | None, peak: Number | None, report: Report
) -> Schedule | None:
    """The schedule that is written, or None (reported). `run` is None where its length was not understood."""
    read: list[Chosen[ScheduleStage] | None] = []
    for stage, names in _stages(flow, scope):
        chosen = choose(stage, "schedule", "schedules", ScheduleStage, SCHEDULES, names, report)
        read.append(None if chosen is None else read_call(*chosen, report))
    if None in read:
        return None
    stages = [chosen for chosen in read if chosen is not None]
    schedule = Schedule(tuple(chosen.options for chosen in stages))
    before = report.failed
    ordered = _in_order(stages, schedule, report)
    fits = ordered and (run is None or _fit_the_run(stages, run, report))
    if peak is not None and not before:
        for chosen in stages:
            _doubtful_target(chosen, peak, report)
    return schedule if fits else None


def _stages(flow: tree.Flow, scope: Scope) -> Iterator[tuple[tree.Flow, Scope]]:
    flow, scope = resolved(flow, scope)
    if isinstance(flow, tree.Then):
        for stage in flow.stages:
            yield from _stages(stage, scope)
    else:
        yield flow, scope


def _in_order(stages: list[Chosen[ScheduleStage]], schedule: Schedule, report: Report) -> bool:
    for earlier, later in pairwise(stages):
        if earlier.options.takes is None:
            report.error(
                "misplaced-stage",
                f"`{earlier.options.word}` takes the rest of the run, and nothing is left for `{later.options.word}`",
                later.span,
                "begins when the run is over",
                help=_shorter(earlier.options),
                labels=((earlier.span, "takes the rest"),),
            )
            return False
    first = stages[0]
    if first.options.word == "inverse_sqrt" and "start" not in first.spans:
        message = "`inverse_sqrt` falls as `sqrt(start / step)`, and nothing stands before it that has a length"
        help = "write `warmup(4_000) -> inverse_sqrt`, or `inverse_sqrt(start = 4_000)`"
        report.error("misplaced-stage", message, first.span, "begins with the run", help=help)
        return False
    for chosen in stages[1:]:
        if chosen.options.word == "one_cycle":
            message = "`one_cycle` rises from far below the peak, and the rate is somewhere else by then"
            report.error("misplaced-stage", message, chosen.span, "not at the begin", help="let it stand first")
            return False
    for chosen, (start, _) in zip(stages, schedule.factors(), strict=True):
        if chosen.options.word == "warmup" and start == 1:
            message = "the rate is at its peak already: there is nothing to warm up"
            report.error(
                "misplaced-stage", message, chosen.span, "rises from the peak to the peak", help="let it stand first"
            )
            return False
    return True


def _shorter(stage: ScheduleStage) -> str:
    """How a stage that takes the rest of the run is written so that it does not."""
    if stage.word in ("stable", "constant"):
        return "write `stable(20%)`, or let it stand last"
    if "length" not in stage.options:
        return "let it stand last"
    return f"write `{stage.word}(20%, to = {'1%' if stage.word == 'exponential' else '0'})`, or let it stand last"


def _fit_the_run(stages: list[Chosen[ScheduleStage]], run: Length, report: Report) -> bool:
    """Whether the stages leave a part of the run to one that takes the rest, and are not longer than it."""
    taken = Fraction(0)
    for chosen in stages:
        for point in chosen.options.points:
            part = _part_of(point, run)
            if part is not None and part < taken:
                message = f"`{chosen.options.word}` names a place that lies before it begins"
                help = "places are counted from the beginning of the run"
                report.error("misplaced-stage", message, chosen.place("at"), f"{point}", help=help)
                return False
            if part is not None and part >= 1:
                message = f"`{chosen.options.word}` names a place behind the end of the run, which has {_run_text(run)}"
                help = "leave it out, or make the run longer"
                report.error("schedule-too-long", message, chosen.place("at"), f"{point}", help=help)
                return False
        length = chosen.options.takes
        if length is None:
            if taken < 1:
                return True
            message = f"the stages before `{chosen.options.word}` take all of the run"
            report.error("schedule-too-long", message, chosen.span, "nothing is left for it", help="make them shorter")
            return False
        part = _part_of(length, run)
        taken += part or 0
        if taken > 1:
            place = chosen.place("length")
            alone = part is not None and part > 1
            what = f"`{chosen.options.word}` is longer" if alone else "the stages up to here are longer"
            message = f"{what} than the run, which has {_run_text(run)}"
            label = f"{length}" if alone else f"{spell(taken * 100)}% of the run"
            shorter = f"make it shorter, such as `{chosen.options.word}(5%)` of the run" if alone else "make it shorter"
            help = f"{shorter}, or the run longer"
            report.error("schedule-too-long", message, place, label, help=help)
            return False
    return True


def _part_of(length: Length, run: Length) -> Fraction | None:
    """What part of the run a length is; None where that hangs on the size of the data."""
    if length.unit == "part":
        return length.exact
    return length.exact / run.exact if length.unit == run.unit else None


def _run_text(run: Length) -> str:
    return f"{run.count and spell(run.exact)} {run.unit}"


def _doubtful_target(chosen: Chosen[ScheduleStage], peak: Number, report: Report) -> None:
    """`to = 6e-5` reads like a rate, and is a part of the peak: 6e-5 of 6e-4."""
    to = getattr(chosen.options, "to", None)
    if not isinstance(to, Literal) or to.text.endswith("%") or not peak.value or not 0 < to.value < peak.value:
        return
    # Six digits are enough for a rate, and a third of the peak has no end.
    percent = f"{float(Fraction(to.value) / Fraction(peak.value) * 100):g}%"
    literal = f"{spell(Fraction(to.value) * 100)}%"
    place = chosen.place("to")
    report.error(
        "doubtful-part",
        f"`to` is a part of the peak rate: {to.text} of it is {spell(Fraction(to.value) * Fraction(peak.value))}",
        place,
        "less than the peak rate itself",
        help=f"write `{percent}` for a rate of {to.text}, or `{literal}` if this is what you mean",
        fixes=(Fix(place, percent), Fix(place, literal)),
        severity="warning",
    )
