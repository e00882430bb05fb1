"""An optimizer with the weights that it updates: rates, clipping, and its state by the names of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from .errors import Refused
from .scaling import LossScale
from .settings import Settings


@dataclass(frozen=True)
class Finished:
    """Of a gradient that is clipped: its norm before that, and whether it or the loss is no finite number, 1 or 0. Both
    are on the device. What is spoilt is not clipped."""

    norm: Tensor
    spoilt: Tensor


class Optimization:
    """One optimizer of a training; with phases each of them has one."""

    def __init__(self, optimizer: torch.optim.Optimizer, model: nn.Module, options: Settings) -> None:
        self.optimizer = optimizer
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.parameters = [p for p in model.parameters() if id(p) in trained]
        self._options = options
        self.scale = LossScale() if options.precision == "fp16" else None
        """What the loss is multiplied by for its gradients."""
        self._norm = torch.zeros(())
        self._finished: Finished | None = None
        on_gpu = any(p.is_cuda for p in self.parameters)
        self._holds_back = on_gpu and getattr(optimizer, "_step_supports_amp_scaling", False)
        """Whether the optimizer has steps that a GPU leaves undone by what it finds: fused ones do, for GradScaler."""
        self._begun: set[int] = set()
        """The weights that such an optimizer has taken steps of, by identity."""
        self._names = {id(p): name for name, p in model.named_parameters()}
        # A group's own rate (`rates = [head = 10]`) stays that multiple of the schedule's.
        peak = optimizer.defaults["lr"]
        self._factors = [group["lr"] / peak if peak else 1.0 for group in optimizer.param_groups]
        self._first_groups = [_plain(group) for group in optimizer.param_groups]

    @property
    def averages(self) -> bool:
        """Whether it averages its weights: its `eval` puts the averages into the model, its `train` takes them out."""
        return hasattr(self.optimizer, "eval")

    # --- an update --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Before the gradients of an update."""
        self.optimizer.zero_grad(set_to_none=True)
        self._finished = None

    def unscale(self) -> None:
        """Take the scale of the loss out of its gradients."""
        if self.scale is not None:
            torch._foreach_mul_(self._gradients(), 1 / self.scale.value)  # pyright: ignore[reportPrivateImportUsage]

    def measure_gradients(self) -> Tensor:
        """The norm of the gradient over all weights, before clipping."""
        self._norm = get_total_norm(self._gradients()) if self._finished is None else self._finished.norm
        return self._norm

    def apply_gradients(self, rate: float) -> None:
        """Clip, and take the optimizer's step at the learning rate `rate`."""
        if self._finished is None and self._options.clip is not None:
            clip_grads_with_norm_(self.parameters, self._options.clip, self._norm)
        if self._finished is None and self._options.clip_value is not None:
            clip_grad_value_(self.parameters, self._options.clip_value)
        self._step(rate)

    # --- without a look at the numbers ------------------------------------------------------------------------------

    def finish(self, loss: Tensor, gradients: list[Tensor]) -> Finished:
        """Measure and clip gradients, those of the weights in their order."""
        norm = get_total_norm(gradients)
        spoilt = ~(torch.isfinite(loss) & torch.isfinite(norm))
        # `where` would have the CPU send its numbers, for which a recording has no time.
        if self._options.clip is not None:
            factor = torch.clamp(self._options.clip / (norm + 1e-6), max=1.0)  # as clip_grads_with_norm_ has it
            torch._foreach_mul_(gradients, factor.masked_fill(spoilt, 1.0))  # pyright: ignore[reportPrivateImportUsage]
        if self._options.clip_value is not None:
            most = torch.full_like(norm, self._options.clip_value).masked_fill(spoilt, torch.inf)
            for gradient in gradients:
                gradient.clamp_(-most, most)
        return Finished(norm, spoilt.float())

    def take(self, finished: Finished) -> None:
        """The gradients that the weights have are finished."""
        self._finished = finished

    def finished(self, loss: Tensor) -> Finished:
        """What the weights have, finished now where it is not yet."""
        self._finished = self._finished or self.finish(loss, self._gradients())
        return self._finished

    @property
    def can_hold_back(self) -> bool:
        """Whether a step may be told to a device that then leaves it undone where the gradient is spoilt.

        State that the first step of a weight makes would stay.
        """
        return self._holds_back and self.scale is None and self._with_gradients() <= self._begun

    def apply_unless_spoilt(self, rate: float, finished: Finished) -> None:
        """As `apply_gradients`; of what is spoilt nothing, so that all stays as it is."""
        self.optimizer.found_inf = finished.spoilt  # type: ignore[attr-defined]
        try:
            self._step(rate)
        finally:
            del self.optimizer.found_inf  # type: ignore[attr-defined]

    def _step(self, rate: float) -> None:
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        if self._holds_back:
            self._begun |= self._with_gradients()

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]

    def _with_gradients(self) -> set[int]:
        return {id(p) for p in self.parameters if p.grad is not None}

    # --- its state --------------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """The optimizer's state as "weight's name/key"."""
        return {key: value for key, value in self._entries() if isinstance(value, Tensor)}

    def state(self) -> dict[str, Any]:
        """What of the optimizer's state is no tensor: numbers by weight, and what its groups changed."""
        groups = [
            {key: value for key, value in _plain(group).items() if value != first.get(key)}
            for group, first in zip(self.optimizer.param_groups, self._first_groups, strict=True)
        ]
        numbers = {key: value for key, value in self._entries() if not isinstance(value, Tensor)}
        scale = {} if self.scale is None else {"scale": asdict(self.scale)}
        return {"kind": type(self.optimizer).__name__, "numbers": numbers, "groups": groups, **scale}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Put in a state. Raises Refused where it is that of another optimizer, or of other weights."""
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
        if self.scale is not None:
            self.scale = LossScale(**state.get("scale", {}))  # a run may have begun in another precision

    def _entries(self) -> Iterator[tuple[str, Any]]:
        for parameter, entries in self.optimizer.state.items():
            for key, value in entries.items():
                yield f"{self._names[id(parameter)]}/{key}", value


def _plain(group: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a parameter group, without the rate, which the schedule sets."""
    kept = (bool, int, float, type(None))
    return {key: value for key, value in group.items() if key not in ("params", "lr") and isinstance(value, kept)}
