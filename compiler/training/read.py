"""A `train` section becomes a plan: every key is read, then they are held against each other and against the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.number import Number, whole
from ..semantics.report import Report
from ..semantics.tensor import Tensor
from .base import Options
from .cadence import Every, EveryCheckpoint, EverySample, Normal, Patience
from .calls import Chosen, choose, read_call, resolved
from .fit import fit_inputs
from .language import AUGMENTATIONS, INITIALISATIONS, KERNELS, OPTIMIZERS, PARALLEL, PRECISIONS, SOURCES
from .lengths import Length
from .lines import Lines, read_lines
from .metric_list import Measured, read_metrics
from .names import Names
from .objective import read_loss
from .optimizer import Optimizer
from .plan import TrainPlan
from .ports import Ports
from .run import Run, read_run
from .schedule import Schedule, read_schedule
from .source import DataSource
from .words import read_word

__all__ = ["Ports", "TrainPlan", "read_train"]

Kind = TypeVar("Kind", bound=Options)

HAVE = {"precision": frozenset({"fp32", "tf32", "bf16"}), "kernels": frozenset({"auto", "torch"})}


def read_train(train: tree.Train, scope: Scope, ports: Ports, report: Report) -> TrainPlan | None:
    """The plan of a `train` section; None where it has an error, or rests on what only a later version has (reported).

    What a later version has and this one can leave out (`parallel`, `ema`) is noted, and the plan is made without it.
    """
    own = Report()
    plan = _Section(read_lines(train, own), train, scope, ports, own).plan()
    for diagnostic in own.diagnostics:
        report.add(diagnostic)
    return None if own.failed else plan


@dataclass(frozen=True)
class _Section:
    lines: Lines
    train: tree.Train
    scope: Scope
    ports: Ports
    report: Report

    def plan(self) -> TrainPlan | None:
        data = self._data()
        fit = fit_inputs(data, self.ports, self.report)
        names = Names(self.ports, data, fit, self.scope, self.report)
        loss = read_loss(self.lines["loss"].value, names) if "loss" in self.lines else None
        metrics: tuple[Measured, ...] | None = ()
        if "metrics" in self.lines:
            metrics = read_metrics(self.lines["metrics"].value, loss, names)
        optimizer = self._optimizer()
        settings = read_run(self.lines, self.scope, self.report)
        run = None if settings is None else self._length_of(settings)
        schedule = self._schedule(run, optimizer)
        precision = self._word("precision", "fp32")
        validate = self._cadence("validate", Every, "every", "every(500)")
        checkpoint = self._cadence("checkpoint", EveryCheckpoint, "every", "every(1_000, keep = 3)")
        early_stop = self._cadence("early_stop", Patience, "patience", "patience(5)")
        sample = self._cadence("sample", EverySample, "every", 'every(1_000, prompt = "Once")')
        init = self._init()
        self._passed_over()
        self._conflicts(settings, data)
        self._watches(early_stop, metrics)
        if data is None or loss is None or metrics is None or optimizer is None or schedule is None:
            return None
        if settings is None or run is None or precision is None:
            return None
        return TrainPlan(
            model=self.train.model.text,
            recipe=(self.train.recipe or self.train.model).text,
            data=data.options,
            bind=fit.bind,
            loss=loss,
            metrics=metrics,
            optimizer=optimizer.options,
            schedule=schedule,
            run=run,
            batch=whole(settings.batch),
            accumulate=whole(settings.accumulate),
            clip=settings.clip,
            clip_value=settings.clip_value,
            precision=precision,
            seed=whole(settings.seed),
            deterministic=settings.deterministic,
            validate=None if validate is None else validate.options.length,
            checkpoint=None if checkpoint is None else checkpoint.options,
            early_stop=None if early_stop is None else early_stop.options,
            sample=None if sample is None else sample.options,
            init=init,
        )

    # --- keys one by one -----------------------------------------------------------------------------------------

    def _data(self) -> Chosen[DataSource] | None:
        """The source; augmentations behind it are noted, this version having none."""
        if "data" not in self.lines:
            return None
        flow, scope = resolved(self.lines["data"].value, self.scope)
        stages = flow.stages if isinstance(flow, tree.Then) else (flow,)
        for stage in stages[1:]:
            match stage:
                case tree.Stage(path=tree.Path(parts=(word,))) if word in AUGMENTATIONS.words:
                    self.report.later(f"the {AUGMENTATIONS.noun} `{word}`", stage.span)
                case tree.Stage(path=path):
                    known = AUGMENTATIONS.words
                    self.report.unknown(AUGMENTATIONS.noun, str(path), path.span, known, AUGMENTATIONS.spellings)
                case _:
                    help = "such as `data = digits`"
                    self.report.error("wrong-value", "`data` takes a source", stage.span, "no augmentation", help=help)
        chosen = choose(stages[0], "data", "data", DataSource, SOURCES, scope, self.report)
        return None if chosen is None else read_call(*chosen, self.report)

    def _optimizer(self) -> Chosen[Optimizer] | None:
        if "optimizer" not in self.lines:
            return None
        flow = self.lines["optimizer"].value
        chosen = choose(flow, "optimizer", "optimizers", Optimizer, OPTIMIZERS, self.scope, self.report)
        return None if chosen is None else read_call(*chosen, self.report)

    def _length_of(self, settings: Run) -> Length | None:
        if settings.steps is not None:
            return Length("steps", settings.steps)
        return None if settings.epochs is None else Length("epochs", settings.epochs)

    def _schedule(self, run: Length | None, optimizer: Chosen[Optimizer] | None) -> Schedule | None:
        if "schedule" not in self.lines:
            return Schedule()
        peak = None if optimizer is None else optimizer.options.lr
        return read_schedule(self.lines["schedule"].value, self.scope, run, peak, self.report)

    def _word(self, key: str, usual: str) -> str | None:
        if key not in self.lines:
            return usual
        flow = self.lines[key].value
        vocabulary = {"precision": PRECISIONS, "kernels": KERNELS}[key]
        word = read_word(flow, key, vocabulary, HAVE[key], self.scope, self.report)
        # A word of a later version is noted, and the usual one stands in for it: the rest can still be checked.
        return usual if word is None else word

    def _cadence(self, key: str, kind: type[Kind], word: str, example: str) -> Chosen[Kind] | None:
        if key not in self.lines:
            return None
        flow, scope = resolved(self.lines[key].value, self.scope)
        match flow:
            case tree.Stage(path=tree.Path(parts=(name,)), args=args, body=None) if name == word and args is not None:
                return read_call(kind, flow, scope, self.report)
        text = f"{word}({flow.span.text})"
        alone = isinstance(flow, tree.Number | tree.Percent | tree.Binary) and key in ("validate", "early_stop")
        self.report.error(
            "wrong-value",
            f"`{key}` takes `{example}`",
            flow.span,
            f"not `{word}(..)`",
            help=f"write `{text if alone else example}`",
            fixes=(Fix(flow.span, text),) if alone else (),
        )
        return None

    def _init(self) -> Number | None:
        if "init" not in self.lines:
            return None
        flow, scope = resolved(self.lines["init"].value, self.scope)
        match flow:
            case tree.Stage(path=tree.Path(parts=("normal",)), body=None):
                read = read_call(Normal, flow, scope, self.report)
                return None if read is None else read.options.std
            case tree.Stage(path=tree.Path(parts=(word,))) if word in INITIALISATIONS.words:
                self.report.later(f"`init = {word}`", flow.span)
            case tree.Stage(path=path):
                known, spellings = INITIALISATIONS.words, INITIALISATIONS.spellings
                self.report.unknown(INITIALISATIONS.noun, str(path), path.span, known, spellings)
            case _:
                message = f"`init` takes a {INITIALISATIONS.noun}"
                self.report.error("wrong-value", message, flow.span, "not one", help="such as `normal(0.02)`")
        return None

    def _passed_over(self) -> None:
        """Keys that ask this version for nothing, and are noted where they do."""
        self._word("kernels", "auto")
        if "compile" in self.lines:
            flow = self.lines["compile"].value
            value = evaluate(flow, self.scope, self.report)
            if value is True:
                self.report.later("`compile = true`", flow.span)
            elif value is not False and value is not FAULT:
                self.report.error("wrong-value", "`compile` takes true or false", flow.span, "neither")
        if "parallel" in self.lines:
            flow = self.lines["parallel"].value
            if self._parallel(flow):
                self.report.later(f"`parallel = {flow.span.text}`", flow.span)

    def _parallel(self, flow: tree.Flow) -> bool:
        """Whether the flow is a sum of ways to train in parallel; what is not is reported."""
        match flow:
            case tree.Binary(operator="+", left=left, right=right):
                return all([self._parallel(left), self._parallel(right)])
            case tree.Stage(path=tree.Path(parts=(word,))) if word in PARALLEL.words:
                return True
            case tree.Stage(path=path):
                self.report.unknown(PARALLEL.noun, str(path), path.span, PARALLEL.words, PARALLEL.spellings)
            case _:
                message = f"`parallel` takes a {PARALLEL.noun}, or a sum of them"
                self.report.error("wrong-value", message, flow.span, "not one", help="such as `fsdp + tensor(2)`")
        return False

    # --- keys against each other -----------------------------------------------------------------------------------

    def _conflicts(self, settings: Run | None, data: Chosen[DataSource] | None) -> None:
        self._either("steps", "epochs", "a run is as long as its steps or its epochs say, not both")
        self._either("clip", "clip_value", "gradients are clipped by their norm or by value, not both")
        if settings is not None and "accumulate" in self.lines and "batch" in self.lines:
            self._divides(whole(settings.batch), whole(settings.accumulate))
        if "early_stop" in self.lines and "validate" not in self.lines:
            line, source = self.lines["early_stop"], self.train.span.source
            added = f"\n{' ' * (line.span.column - 1)}validate = every(epoch)"
            self.report.error(
                "needs-validation",
                "`early_stop` looks at validations, and there is none before the end",
                line.span,
                "no `validate` here",
                help="write `validate = every(epoch)` too",
                # A line that `--set` put in has no place in the file.
                fixes=(Fix(source.span(line.span.end, line.span.end), added),) if source is line.span.source else (),
            )
        if data is None:
            return
        for key in ("validate", "early_stop"):
            if key in self.lines and not data.options.validates():
                self.report.error(
                    "needs-validation",
                    f"`{key}` needs a part of the data for validation, and `{data.options.word}` keeps none",
                    self.lines[key].span,
                    "nothing to validate on",
                    help="give the `split` a part for validation, such as [0.9, 0.1]",
                    labels=((data.span, "all of it is trained on"),),
                )
        if "sample" in self.lines and data.options.tokenizes():
            self._writes_on()
        elif "sample" in self.lines:
            self.report.error(
                "needs-text",
                f"`sample` writes text, and `{data.options.word}` has no tokenizer to write it with",
                self.lines["sample"].span,
                "no text to go on with",
                help="take it out, or train on `text(..)`",
                labels=((data.span, "the data"),),
            )

    def _writes_on(self) -> None:
        """`sample` asks the model for one token after the other: int[B, T] in, [B, T, vocab] out."""
        inputs = [t for t in self.ports.inputs.values() if isinstance(t, Tensor)]
        outputs = [t for t in self.ports.outputs.values() if isinstance(t, Tensor)]
        if len(inputs) < len(self.ports.inputs) or len(outputs) < len(self.ports.outputs):
            return
        reads = [(t.dtype, t.rank) for t in inputs] == [("int", 2)]
        if reads and outputs and outputs[0].rank == 3:
            return
        self.report.error(
            "needs-text",
            f"`sample` asks for one token after the other, and {self.ports.model} is no model of that",
            self.lines["sample"].span,
            "cannot write on",
            help="a model that writes takes int[B, T] and gives [B, T, vocab]: take `sample` out",
        )

    def _either(self, first: str, second: str, message: str) -> None:
        if first not in self.lines or second not in self.lines:
            return
        earlier, later = sorted((self.lines[first], self.lines[second]), key=lambda line: line.span.start)
        labels = ((earlier.span, "and this here"),)
        self.report.error("conflict", message, later.span, "one too many", help="take one of them out", labels=labels)

    def _divides(self, batch: int, parts: int) -> None:
        if batch % parts == 0:
            return
        below, above = batch - batch % parts, batch + parts - batch % parts
        nearest = f"{below} or {above}" if below else f"{above}"
        self.report.error(
            "uneven-batch",
            f"a batch of {batch} cannot be computed in {parts} equal parts",
            self.lines["accumulate"].value.span,
            f"{batch} / {parts} is not whole",
            help=f"write `batch = {nearest}`" if not below else f"take a batch of {nearest}",
            labels=((self.lines["batch"].value.span, "the batch"),),
        )

    def _watches(self, early_stop: Chosen[Patience] | None, metrics: tuple[Measured, ...] | None) -> None:
        """What `early_stop` watches is measured."""
        if early_stop is None or metrics is None:
            return
        measured = ["validation.loss", *(f"validation.{metric.name}" for metric in metrics)]
        if early_stop.options.on in measured:
            return
        place, on = early_stop.place("on"), early_stop.options.on
        listed = ", ".join(f'"{name}"' for name in measured)
        help = f"`on` takes {'one of ' if len(measured) > 1 else ''}{listed}"
        self.report.error("unknown-name", f'nothing is measured as "{on}"', place, "not measured", help=help)
