"""A model with its optimizer: gradients of a batch, an update, and the state of both by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from .bindings import counted, model_loss, model_values, take
from .checkpoint import tensors_of
from .errors import Refused
from .isolation import Turn
from .program import Program
from .recording import Recorder
from .seeds import derive_seed
from .settings import Settings

Batch = Mapping[str, Tensor]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Gradients:
    """The loss of a batch and the norm of its gradient over all parameters, before clipping."""

    loss: float
    norm: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class Learner:
    """What a training changes: a model's weights and an optimizer's state."""

    def __init__(self, program: Program, device: torch.device) -> None:
        self.program = program
        self.options = program.options
        self.device = device
        self.model: nn.Module = program.make_model(device)
        self.model.train()
        self.optimizer: torch.optim.Optimizer = program.recipe.optimizer(self.model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._recorder = Recorder() if device.type == "cuda" and not program.has_layers_in_python else None
        self._norm = torch.zeros(())
        self._names = {id(p): name for name, p in self.model.named_parameters()}
        # A group's own rate (`rates = [head = 10]`) stays that multiple of the schedule's.
        peak = self.optimizer.defaults["lr"]
        self._factors = [group["lr"] / peak if peak else 1.0 for group in self.optimizer.param_groups]
        self._first_groups = [_plain(group) for group in self.optimizer.param_groups]

    # --- one update -------------------------------------------------------------------------------------------------

    def compute_gradients(self, turn: Turn, batch: Batch, step: int) -> Gradients:
        """Gradients of the loss over `batch` (on the CPU), computed in as many parts as `accumulate` says.

        Parts weigh as much as they have entries that count, so that the sum is the gradient of the whole batch. What
        layers draw is a function of (seed, step, part).
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss: Tensor | None = None
        for number, (part, weight) in enumerate(self._parts(batch)):
            turn.seed(derive_seed(self.options.seed, "forward", step, number))
            part_loss = self._pass(part, weight)
            loss = part_loss if loss is None else loss + part_loss
        if loss is None:
            raise _nothing_counts(step)
        self._norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        values = (loss.item(), self._norm.item()) if self.device.type == "cpu" else _fetch(loss, self._norm)
        gradients = Gradients(*values)
        if not gradients.finite and not counted(self.options.loss, batch):
            raise _nothing_counts(step)
        return gradients

    def _pass(self, part: Batch, weight: float) -> Tensor:
        """The loss of a part times its weight, whose gradients are added to those that are there."""
        recorder = self._recorder
        if recorder is None:
            return self._passes(part, weight)
        recording = recorder.recording(self.training_loss, self.parameters, part) if recorder.wants(part) else None
        if recording is not None:
            return recording.play(part, weight, alone=self.options.accumulate == 1)
        with recorder.watching(part):
            return self._passes(part, weight)

    def _passes(self, part: Batch, weight: float) -> Tensor:
        loss = self.training_loss(part)
        if weight != 1.0:
            loss = loss * weight
        if not loss.requires_grad:
            raise _learns_nothing()
        loss.backward()
        return loss.detach()

    def apply_gradients(self, rate: float) -> None:
        """Clip, and take the optimizer's step at the learning rate `rate`."""
        if self.options.clip is not None:
            clip_grads_with_norm_(self.parameters, self.options.clip, self._norm)
        if self.options.clip_value is not None:
            clip_grad_value_(self.parameters, self.options.clip_value)
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, float]]:
        parts = self.options.accumulate
        if parts == 1:
            yield self.to_device(batch), 1.0
            return
        size = self.options.batch // parts
        split = [{name: t[i * size : (i + 1) * size] for name, t in batch.items()} for i in range(parts)]
        counts = [counted(self.options.loss, part) for part in split]
        for part, count in zip(split, counts, strict=True):
            if count:  # the mean over no entries is no number
                yield self.to_device(part), count / sum(counts)

    def to_device(self, batch: Batch) -> Batch:
        if self.device.type == "cpu":
            return batch
        return {name: tensor.pin_memory().to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def training_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch on the device: from the model itself where that computes it, without ever holding what
        it is made of."""
        return self._run(model_loss, batch) if self.options.loss.in_model else self.loss_of(self.values_of(batch))

    def values_of(self, batch: Batch) -> Mapping[str, Tensor]:
        """Everything that a loss or metric may name, for a batch on the device."""
        return self._run(model_values, batch)

    def _run(self, call: Callable[[nn.Module, Settings, Batch], Result], batch: Batch) -> Result:
        """The model in the precision of the run."""
        # The cache of cast weights lives until the outermost autocast ends: where a caller has one, it would outlive
        # the update of the weights.
        bf16 = self.options.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16, cache_enabled=False):
            try:
                return call(self.model, self.options, batch)
            except ValueError as error:
                if str(error).startswith("Expected more than 1"):
                    raise _has_no_variance() from error
                raise

    def loss_of(self, values: Mapping[str, Tensor]) -> Tensor:
        return self.program.recipe.loss(**take(self.options.loss, values))

    # --- its state --------------------------------------------------------------------------------------------------

    def model_tensors(self) -> dict[str, Tensor]:
        return tensors_of(self.model)

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """The optimizer's state as "weight's name/key"."""
        return {key: value for key, value in self._optimizer_entries() if isinstance(value, Tensor)}

    def optimizer_state(self) -> dict[str, Any]:
        """What of the optimizer's state is no tensor: numbers by weight, and what its groups changed."""
        groups = [
            {key: value for key, value in _plain(group).items() if value != first.get(key)}
            for group, first in zip(self.optimizer.param_groups, self._first_groups, strict=True)
        ]
        numbers = {key: value for key, value in self._optimizer_entries() if not isinstance(value, Tensor)}
        return {"kind": type(self.optimizer).__name__, "numbers": numbers, "groups": groups}

    def _optimizer_entries(self) -> Iterator[tuple[str, Any]]:
        for parameter, entries in self.optimizer.state.items():
            for key, value in entries.items():
                yield f"{self._names[id(parameter)]}/{key}", value

    def restore_model(self, tensors: Mapping[str, Tensor]) -> None:
        """Put in weights from a checkpoint. Raises Refused where names or shapes are not the model's."""
        restore_model(self.model, tensors)

    def restore_optimizer(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Put in the optimizer's state. Raises Refused where it is that of another optimizer."""
        kind = type(self.optimizer).__name__
        if state["kind"] != kind:
            raise Refused(
                f"the run was trained with {state['kind']}, and {kind} cannot take over its state",
                "Keep the optimizer, or train anew.",
            )
        entries: dict[str, dict[str, Any]] = {}
        for key, value in (*tensors.items(), *state["numbers"].items()):
            name, _, what = key.rpartition("/")
            entries.setdefault(name, {})[what] = value
        groups = self.optimizer.state_dict()["param_groups"]
        by_index: dict[int, dict[str, Any]] = {}
        for group, saved in zip(self.optimizer.param_groups, groups, strict=True):
            for parameter, index in zip(group["params"], saved["params"], strict=True):
                found = entries.pop(self._names[id(parameter)], None)
                if found is not None:
                    by_index[index] = found
        if entries:
            raise Refused(
                f"the optimizer's state is for weights that are no longer trained: {', '.join(sorted(entries))}",
                "Train them as before, or train anew.",
            )
        self.optimizer.load_state_dict({"state": by_index, "param_groups": groups})
        for group, changed in zip(self.optimizer.param_groups, state["groups"], strict=False):
            group.update(changed)


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


def _learns_nothing() -> Refused:
    return Refused(
        "the loss does not depend on any weight of the model, so there is nothing to learn from it",
        "Take a loss of an output that a layer with weights has a part in.",
    )


def _plain(group: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a parameter group, without the rate, which the schedule sets."""
    kept = (bool, int, float, type(None))
    return {key: value for key, value in group.items() if key not in ("params", "lr") and isinstance(value, kept)}


def _fetch(*scalars: Tensor) -> list[float]:
    """Several scalars from the device with one wait."""
    return torch.stack([scalar.double() for scalar in scalars]).tolist()
