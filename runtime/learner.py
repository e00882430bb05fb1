"""A model with its optimizer: gradients of a batch, an update, and the state of both by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .bindings import counted, model_loss, model_values, take
from .checkpoint import tensors_of
from .errors import Refused
from .isolation import Turn
from .optimization import Optimization
from .program import Program
from .reading import Reading
from .recording import Recorder, Work
from .seeds import derive_seed
from .settings import Measure, Phase, Settings

Batch = Mapping[str, Tensor]
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
Result = TypeVar("Result")


@dataclass(frozen=True)
class Gradients:
    """The loss of a batch and the norm of its gradient over all parameters, before clipping. `overflowed` says that the
    scale of the loss was too large: the update was left out, and the next one has a smaller scale."""

    loss: float
    norm: float
    overflowed: bool = False

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and (math.isfinite(self.norm) or self.overflowed)


class Learner:
    """What a training changes: a model's weights and the state of its optimizers, one for each phase."""

    def __init__(self, program: Program, device: torch.device, model: nn.Module | None = None) -> None:
        """`model` is the one that learns, on the device; left out, one with the initial weights of the run's seed."""
        self.program = program
        self.options = program.options
        self.device = device
        self.model: nn.Module = program.make_model(device) if model is None else model
        self.kept: nn.Module = program.make_loss_state(device)
        self.set_to_training()
        self.average = _copy_of(self.model) if hasattr(program.recipe, "update_average") else None
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizations = tuple(
            Optimization(getattr(program.recipe, phase.function("optimizer"))(self.model), self.model, self.options)
            for phase in self.options.phases
        )
        self._is_balanced = hasattr(program.recipe, "balance_loss")
        records = device.type == "cuda" and not self.options.phases[0].name and not program.has_layers_in_python
        records &= self.options.precision != "fp16"  # the scale of its loss changes
        self._recorder = Recorder() if records else None

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of a training without phases, or of the first."""
        return self.optimizations[0].optimizer

    # --- one update -------------------------------------------------------------------------------------------------

    def set_to_training(self) -> None:
        """The model and what the loss keeps in training, what is frozen in evaluation."""
        self.model.train()
        self.kept.train()
        if hasattr(self.program.recipe, "freeze"):
            self.program.recipe.freeze(self.model)

    def turns(self) -> Iterator[tuple[Phase, int]]:
        """What an update consists of, in order: the phases, each as often as it runs, counted from 0."""
        for phase in self.options.phases:
            for time in range(phase.times):
                yield phase, time

    def update(
        self, turn: Turn, batch: Batch, step: int, rate: float, phase: Phase | None = None, time: int = 0
    ) -> Gradients:
        """The gradients of a phase's loss over `batch`, and the optimizer's step at `rate`. Where loss or gradient is
        no finite number, the weights and the optimizer's state stay as they were.

        A GPU is told its step before the CPU has read the loss, where the optimizer can leave one undone: else it
        would wait for that.
        """
        phase = phase or self.options.phases[0]
        optimization = self._optimization(phase)
        loss = self._backward(turn, batch, step, phase, time)
        if optimization.can_hold_back:
            finished = optimization.finished(loss)
            reading = Reading(loss, finished.norm)
            optimization.apply_unless_spoilt(rate, finished)
            return _checked(reading, phase, batch, step)
        gradients = _checked(Reading(loss, optimization.measure_gradients()), phase, batch, step)
        scale = optimization.scale
        if scale is not None and math.isfinite(gradients.loss) and not gradients.finite:
            return replace(gradients, overflowed=scale.shrink())
        if gradients.finite:
            optimization.apply_gradients(rate)
            if scale is not None:
                scale.grow()
        return gradients

    def compute_gradients(
        self, turn: Turn, batch: Batch, step: int, phase: Phase | None = None, time: int = 0
    ) -> Gradients:
        """Gradients of a phase's loss over `batch` (on the CPU), computed in as many parts as `accumulate` says.

        Parts weigh as much as they have entries that count, so that the sum is the gradient of the whole batch. What
        layers draw is a function of (seed, step, part), with phases of (seed, step, phase, time, part).
        """
        phase = phase or self.options.phases[0]
        loss = self._backward(turn, batch, step, phase, time)
        return _checked(Reading(loss, self._optimization(phase).measure_gradients()), phase, batch, step)

    def _backward(self, turn: Turn, batch: Batch, step: int, phase: Phase, time: int) -> Tensor:
        """The loss, of which the parameters then have gradients."""
        self._optimization(phase).begin()
        loss: Tensor | None = None
        with self._alone(phase):
            for number, (part, weight) in enumerate(self._parts(batch, phase.loss)):
                drawn_for = (step, phase.name, time, number) if phase.name else (step, number)
                turn.seed(derive_seed(self.options.seed, "forward", *drawn_for))
                part_loss = self._pass(part, weight, phase)
                loss = part_loss if loss is None else loss + part_loss
        if loss is None:
            raise _nothing_counts(step)
        self._optimization(phase).unscale()
        return loss

    @contextmanager
    def _alone(self, phase: Phase) -> Iterator[None]:
        """While it lasts, gradients reach what the phase updates and nothing else; the running statistics of other
        parts are put back after it."""
        if not phase.name:
            yield
            return
        updated = {id(p) for p in self._optimization(phase).parameters}
        kept = [(b, b.clone()) for name, b in self.model.named_buffers() if not phase.moves_statistics_of(name)]
        try:
            for parameter in self.parameters:
                parameter.requires_grad_(id(parameter) in updated)
            yield
        finally:
            for parameter in self.parameters:
                parameter.requires_grad_(True)
            for buffer, before in kept:
                buffer.copy_(before)

    def _pass(self, part: Batch, weight: float, phase: Phase) -> Tensor:
        """The loss of a part times its weight, whose gradients are added to those that are there."""
        recorder = self._recorder
        if recorder is None:
            return self._passes(part, weight, phase)
        if recorder.wants(part):
            optimization = self._optimization(phase)
            finish = optimization.finish if self.options.accumulate == 1 else None
            recording = recorder.recording(Work(self.training_loss, optimization.parameters, finish), part)
            if recording is not None:
                loss = recording.play(part, weight)
                if recording.finished is not None:
                    optimization.take(recording.finished)
                return loss
        with recorder.watching(part):
            return self._passes(part, weight, phase)

    def _passes(self, part: Batch, weight: float, phase: Phase) -> Tensor:
        loss = self.training_loss(part, phase)
        if weight != 1.0:
            loss = loss * weight
        if not loss.requires_grad:
            raise _learns_nothing(phase)
        scale = self._optimization(phase).scale
        (loss if scale is None else loss * scale.value).backward()
        return loss.detach()

    def apply_gradients(self, rate: float, phase: Phase | None = None) -> None:
        """Clip, and take the optimizer's step at the learning rate `rate`."""
        self._optimization(phase or self.options.phases[0]).apply_gradients(rate)

    def update_copies(self) -> None:
        """Let momentum copies, where there are some, follow an update."""
        update = getattr(self.model, "update_copies", None)
        if update is not None:
            update()

    def update_average(self, step: int) -> None:
        """Let the average of the weights, where one is kept, follow update `step`, counted from 0."""
        if self.average is not None:
            self.program.recipe.update_average(self.average, self.model, step)

    def _optimization(self, phase: Phase) -> Optimization:
        return self.optimizations[self.options.phases.index(phase)]

    def _parts(self, batch: Batch, loss: Measure) -> Iterator[tuple[Batch, float]]:
        parts = self.options.accumulate
        if parts == 1:
            yield self.to_device(batch), 1.0
            return
        size = self.options.batch // parts
        split = [{name: t[i * size : (i + 1) * size] for name, t in batch.items()} for i in range(parts)]
        counts = [counted(loss, part) for part in split]
        if loss.mixed and len(set(counts)) > 1:
            raise _counts_unevenly()
        for part, count in zip(split, counts, strict=True):
            if count:  # the mean over no entries is no number
                yield self.to_device(part), count / sum(counts)

    def to_device(self, batch: Batch) -> Batch:
        if self.device.type == "cpu":
            return batch
        return {name: tensor.pin_memory().to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def training_loss(self, batch: Batch, phase: Phase | None = None) -> Tensor:
        """The loss of a batch on the device: from the model itself where that computes it, without ever holding what
        it is made of."""
        phase = phase or self.options.phases[0]
        if phase.loss.in_model:
            loss = self._run(model_loss, batch, self.model)
        else:
            loss = self.loss_of(self.values_of(batch, phase=phase), phase)
        # The routers of experts are kept even by a loss that their model has of each pass.
        return loss + self.program.recipe.balance_loss(self.model) if self._is_balanced else loss

    def values_of(self, batch: Batch, model: nn.Module | None = None, phase: Phase | None = None) -> Mapping[str, Any]:
        """Everything that a loss or metric may name, for a batch on the device; `model` is the one that says it, left
        out the one that learns. With a `phase` it is what its loss may name."""
        model = model or self.model
        kept = {f"state.{name}": module for name, module in self.kept.named_children()}
        return {**self._run(partial(model_values, phase=phase), batch, model), "model": model, **kept}

    def _run(self, call: Callable[[nn.Module, Settings, Batch], Result], batch: Batch, model: nn.Module) -> Result:
        """A model in the precision of the run."""
        # The cache of cast weights lives until the outermost autocast ends: where a caller has one, it would outlive
        # the update of the weights.
        half = HALVES.get(self.options.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None, cache_enabled=False):
            try:
                return call(model, self.options, batch)
            except ValueError as error:
                if str(error).startswith("Expected more than 1"):
                    raise _has_no_variance() from error
                raise
            except IndexError as error:
                if str(error).startswith("index out of range"):
                    raise _has_no_row() from error
                raise

    def loss_of(self, values: Mapping[str, Any], phase: Phase) -> Tensor:
        return getattr(self.program.recipe, phase.function("loss"))(**take(phase.loss, values))

    @contextmanager
    def evaluated(self) -> Iterator[nn.Module]:
        """The model that is validated, sampled from and saved, in evaluation: the one that learns, or an average of it.

        After it training goes on as if this had not been, to the last bit.
        """
        self.kept.eval()
        if self.average is not None:
            try:
                yield self.average
            finally:
                self.kept.train()
            return
        averaging: list[Any] = [one.optimizer for one in self.optimizations if one.averages]
        # To and fro changes weights by what is rounded.
        trained = [(p, p.detach().clone()) for p in self.parameters] if averaging else []
        self.model.eval()
        for optimizer in averaging:
            optimizer.eval()
        try:
            yield self.model
        finally:
            for optimizer in averaging:
                optimizer.train()
            with torch.no_grad():
                for parameter, before in trained:
                    parameter.copy_(before)
            self.set_to_training()

    # --- its state --------------------------------------------------------------------------------------------------

    def model_tensors(self) -> dict[str, Tensor]:
        """The model that is evaluated."""
        with self.evaluated() as model:
            found = tensors_of(model)
            return {name: tensor.detach().clone() for name, tensor in found.items()} if self._averages else found

    def trained_tensors(self) -> dict[str, Tensor]:
        """The weights that training goes on from, where it is not those of the model that is evaluated."""
        return dict(self.model.named_parameters()) if self._averages or self.average is not None else {}

    @property
    def _averages(self) -> bool:
        return any(optimization.averages for optimization in self.optimizations)

    def kept_tensors(self) -> dict[str, Tensor]:
        """What the loss keeps from batch to batch."""
        return dict(self.kept.named_buffers())

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """The optimizer's state as "weight's name/key"; with phases, as "phase/weight's name/key"."""
        return {
            f"{phase.prefix}{key}": tensor
            for phase, optimization in zip(self.options.phases, self.optimizations, strict=True)
            for key, tensor in optimization.tensors().items()
        }

    def optimizer_state(self) -> dict[str, Any]:
        """What of the optimizer's state is no tensor; with phases, of each by its name."""
        states = {p.name: o.state() for p, o in zip(self.options.phases, self.optimizations, strict=True)}
        return states.get("") or {"phases": states}

    def restore_model(
        self, tensors: Mapping[str, Tensor], trained: Mapping[str, Tensor] = MappingProxyType({})
    ) -> None:
        """Put in the model of a checkpoint, and what training goes on from where that is other weights. Raises Refused
        where names or shapes are not the model's."""
        restore_model(self.model, {**tensors, **trained})
        if self.average is not None:
            restore_model(self.average, tensors)

    def restore_kept(self, tensors: Mapping[str, Tensor]) -> None:
        """Put in what the loss keeps from batch to batch. Raises Refused where it is that of another loss."""
        there, here = ({name: list(t.shape) for name, t in one.items()} for one in (tensors, self.kept_tensors()))
        if there != here:
            raise Refused(
                f"what the loss keeps from batch to batch is {_listed(here)}, and {_listed(there)} in the checkpoint",
                "Keep the loss as it was, or train anew.",
            )
        restore_model(self.kept, tensors)

    def restore_optimizer(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Put in the optimizer's state. Raises Refused where it is that of another optimizer, or of other phases."""
        states: Mapping[str, Any] = state.get("phases") or {"": state}
        names = [phase.name for phase in self.options.phases]
        if sorted(states) != sorted(names):
            raise Refused(
                f"the run was trained {_in_phases(states)}, and the recipe trains {_in_phases(names)}",
                "Keep the phases as they were, or train anew.",
            )
        for phase, optimization in zip(self.options.phases, self.optimizations, strict=True):
            own = {k.removeprefix(phase.prefix): t for k, t in tensors.items() if k.startswith(phase.prefix)}
            optimization.restore(own, states[phase.name])


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy `tensors` into a model. Raises Refused where names, shapes or types are not the model's."""
    own = tensors_of(model)
    lines = [f"{name} is not in the model" for name in tensors if name not in own]
    lines += [f"{name} is not in the checkpoint" for name in own if name not in tensors]
    for name, tensor in own.items():
        if name in tensors and (tensor.shape != tensors[name].shape or tensor.dtype != tensors[name].dtype):
            there, here = (f"{str(t.dtype)[6:]}{list(t.shape)}" for t in (tensors[name], tensor))
            lines.append(f"{name} is {there} in the checkpoint, {here} in the model")
    if lines:
        shown = "; ".join(lines[:5]) + (f"; and {len(lines) - 5} more" if len(lines) > 5 else "")
        raise Refused(f"the weights do not fit the model: {shown}", "Keep the model as it was, or train anew.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _listed(shapes: Mapping[str, list[int]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"


def _counts_unevenly() -> Refused:
    return Refused(
        "not all targets count, and one part of the loss is a mean over those that do, another over examples: parts of "
        "a batch do not come to the whole",
        "Take `accumulate` out.",
    )


def _copy_of(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).requires_grad_(False).eval()


def _checked(reading: Reading, phase: Phase, batch: Batch, step: int) -> Gradients:
    loss, norm = reading.values()
    gradients = Gradients(loss, norm)
    if not gradients.finite and not counted(phase.loss, batch):
        raise _nothing_counts(step)
    return gradients


def _nothing_counts(step: int) -> Refused:
    return Refused(
        f"step {step}: no target of the batch counts, so there is nothing to learn from it",
        "Take a larger batch, or data with more targets that are not ignored.",
    )


def _has_no_variance() -> Refused:
    return Refused(
        "a norm learns from the variance of each channel, and a channel has one entry in what is computed at once",
        "Take a larger `batch` or a smaller `accumulate`; LayerNorm and GroupNorm need no batch.",
    )


def _has_no_row() -> Refused:
    return Refused(
        "a whole number that comes in picks a row that an Embedding of the model has not",
        "Number them from 0, or give the Embedding a row for each.",
    )


def _learns_nothing(phase: Phase) -> Refused:
    if phase.name:
        return Refused(
            f"the loss of the phase `{phase.name}` depends on no weight that it updates: it learns nothing from it",
            "Take a loss of an output that what it updates has a part in, or update something else.",
        )
    return Refused(
        "the loss does not depend on any weight of the model, so there is nothing to learn from it",
        "Take a loss of an output that a layer with weights has a part in.",
    )


def _in_phases(names: Iterable[str]) -> str:
    listed = " and ".join(f"`{name}`" for name in names if name)
    return f"in the phases {listed}" if listed else "without phases"
