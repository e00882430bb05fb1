"""A `train` section becomes a plan: every key is read, then they are held against each other and against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.evaluate import Scope
from ..semantics.number import number, whole
from ..semantics.report import Report
from . import conflicts, key_values
from .cadence import Every, EveryCheckpoint, EverySample, Patience
from .calls import Chosen
from .dataset import read_data
from .fit import fit_inputs
from .lengths import Length
from .lines import Section, read_section
from .names import Names
from .objective import read_loss
from .parallelism import read_parallel
from .parts import check_losses
from .phases import read_optimizer, read_phases
from .plan import TrainPlan
from .ports import Ports
from .run import Run, read_run
from .schedule import Schedule, read_schedule

if TYPE_CHECKING:
    from .metric_list import Measured

__all__ = ["Ports", "TrainPlan", "read_train"]


def read_train(train: tree.Train, scope: Scope, ports: Ports, report: Report) -> TrainPlan | None:
    """The plan of a `train` section; None where it has an error (reported).

    What this version cannot do is checked like all else, and noted where it is right; `TrainPlan.runs` says whether
    the recipe can be written all the same.
    """
    own = Report()
    plan = _Reading(read_section(train, own), train, scope, ports, own).plan()
    for diagnostic in settled(own, train.body):
        report.add(diagnostic)
    return None if own.failed else plan


def settled(report: Report, body: tree.Body) -> list[Diagnostic]:
    """All findings about a body, less the notes about lines that have an error: it comes first."""
    found = report.diagnostics
    wrong = [d.span for d in found if d.severity == "error"]

    def is_early(finding: Diagnostic) -> bool:
        line = next((line.span for line in body.lines if _within(finding.span, line.span)), None)
        return finding.code == "not-in-this-version" and line is not None and any(_within(span, line) for span in wrong)

    return [finding for finding in found if not is_early(finding)]


def _within(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start < outer.end


class _Reading(Frozen):
    section: Section
    train: tree.Train
    scope: Scope
    ports: Ports
    report: Report

    def plan(self) -> TrainPlan | None:
        lines, scope, ports, report = self.section.lines, self.scope, self.ports, self.report
        data = read_data(lines["data"].value, scope, report) if "data" in lines else None
        fit = fit_inputs(data, ports, report)
        names = Names(ports, data, fit, scope, report)
        phases = read_phases(self.section, names, report)
        loss = read_loss(lines["loss"].value, names) if "loss" in lines and not self.section.phases else None
        compared = loss if loss is not None else phases[0].loss if phases else None
        metrics: tuple[Measured, ...] | None = ()
        if "metrics" in lines:
            from .metric_list import read_metrics  # many recipes have none

            metrics = read_metrics(lines["metrics"].value, compared, names)
        optimizer = read_optimizer(lines["optimizer"].value, scope, report) if "optimizer" in lines else None
        if "optimizer" not in lines and phases:
            optimizer = phases[0].optimizer
        settings = read_run(lines, scope, report)
        run = None if settings is None else _length_of(settings)
        schedule = Schedule()
        if "schedule" in lines:
            peak = None if optimizer is None else optimizer.options.lr
            schedule = read_schedule(lines["schedule"].value, scope, run, peak, report)
        precision = key_values.read_key_word("precision", "fp32", lines, scope, report)
        kernels = key_values.read_key_word("kernels", "auto", lines, scope, report)
        validate = key_values.read_cadence("validate", Every, "every(500)", lines, scope, report)
        checkpoint = key_values.read_cadence(
            "checkpoint", EveryCheckpoint, "every(1_000, keep = 3)", lines, scope, report
        )
        early_stop = key_values.read_cadence("early_stop", Patience, "patience(5)", lines, scope, report)
        sample = key_values.read_cadence("sample", EverySample, 'every(1_000, prompt = "Once")', lines, scope, report)
        init = key_values.read_init(lines, scope, report)
        start = key_values.read_start(lines, ports, scope, report)
        freeze = key_values.read_freeze(lines, ports, report)
        rates = key_values.read_rates(lines, ports, scope, report)
        parallel = read_parallel(lines["parallel"].value, scope, report) if "parallel" in lines else ()
        if settings is not None:
            self._note(settings)
        conflicts.check_lengths(lines, settings, report)
        conflicts.check_batch(fit.batch, settings, ports, lines, report)
        objectives = [one for one in (loss, *(phase.loss for phase in phases or ())) if one is not None]
        check_losses(objectives, settings, lines, report)
        watched = self._watched(schedule)
        conflicts.check_validation(self.section, data, watched, report)
        conflicts.check_watched(early_stop, schedule, metrics, phases or (), lines, report)
        conflicts.check_texts(metrics or (), data, report)
        if sample is not None:
            conflicts.check_sample(lines, data, ports, report)
        conflicts.check_learning(freeze, rates, phases or (), ports, lines, report)
        conflicts.check_schedule_free(optimizer, schedule, lines, report)
        if report.failed or data is None or (loss is None and not phases) or phases is None or metrics is None:
            return None
        if optimizer is None or schedule is None or settings is None or run is None or precision is None:
            return None
        return TrainPlan(
            model=self.train.model.text,
            recipe=(self.train.recipe or self.train.model).text,
            data=data,
            bind=fit.bind,
            dims={name: whole(size) for (name, _), size in fit.dims.items()} if fit.whole else {},
            loss=loss,
            phases=phases,
            metrics=metrics,
            optimizer=optimizer.options,
            schedule=schedule,
            run=run,
            batch=whole(settings.batch),
            accumulate=whole(settings.accumulate),
            clip=settings.clip,
            clip_value=settings.clip_value,
            precision=precision,
            kernels=kernels or "auto",
            seed=whole(settings.seed),
            deterministic=settings.deterministic,
            validate=_validate(validate, watched),
            checkpoint=None if checkpoint is None else checkpoint.options,
            early_stop=None if early_stop is None else early_stop.options,
            sample=None if sample is None else sample.options,
            init=None if init is None else init.options,
            start=start,
            freeze=freeze,
            rates=rates,
            ema=settings.ema,
            parallel=parallel or (),
        )

    def _watched(self, schedule: Schedule | None) -> Span | None:
        """Where something looks at validations."""
        lines = self.section.lines
        if "early_stop" in lines:
            return lines["early_stop"].span
        watches = schedule is not None and any(stage.watches is not None for stage in schedule.stages)
        return lines["schedule"].value.span if watches else None

    def _note(self, settings: Run) -> None:
        """Keys that this version understands and cannot do."""
        lines = self.section.lines
        if settings.compile:
            self.report.later("`compile = true`", lines["compile"].value.span)


def _validate(written: Chosen[Every] | None, watched: Span | None) -> Length | None:
    """How often it is validated: after each pass over the data, where something looks at it and nothing is said."""
    if written is not None:
        return written.options.length
    return None if watched is None else Length("epochs", number(1))


def _length_of(settings: Run) -> Length | None:
    if settings.steps is not None:
        return Length("steps", settings.steps)
    return None if settings.epochs is None else Length("epochs", settings.epochs)
