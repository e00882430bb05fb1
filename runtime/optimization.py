"""An optimizer with the weights that it updates: rates, clipping, and its state by the names of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from .errors import Refused
from .settings import Settings


class Optimization:
    """One optimizer of a training; with phases each of them has one."""

    def __init__(self, optimizer: torch.optim.Optimizer, model: nn.Module, options: Settings) -> None:
        self.optimizer = optimizer
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.parameters = [p for p in model.parameters() if id(p) in trained]
        self._options = options
        self._norm = torch.zeros(())
        self._names = {id(p): name for name, p in model.named_parameters()}
        # A group's own rate (`rates = [head = 10]`) stays that multiple of the schedule's.
        peak = optimizer.defaults["lr"]
        self._factors = [group["lr"] / peak if peak else 1.0 for group in optimizer.param_groups]
        self._first_groups = [_plain(group) for group in optimizer.param_groups]

    # --- an update --------------------------------------------------------------------------------------------------

    def measure_gradients(self) -> Tensor:
        """The norm of the gradient over all weights, before clipping."""
        self._norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        return self._norm

    def apply_gradients(self, rate: float) -> None:
        """Clip, and take the optimizer's step at the learning rate `rate`."""
        if self._options.clip is not None:
            clip_grads_with_norm_(self.parameters, self._options.clip, self._norm)
        if self._options.clip_value is not None:
            clip_grad_value_(self.parameters, self._options.clip_value)
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()

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
        return {"kind": type(self.optimizer).__name__, "numbers": numbers, "groups": groups}

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

    def _entries(self) -> Iterator[tuple[str, Any]]:
        for parameter, entries in self.optimizer.state.items():
            for key, value in entries.items():
                yield f"{self._names[id(parameter)]}/{key}", value


def _plain(group: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a parameter group, without the rate, which the schedule sets."""
    kept = (bool, int, float, type(None))
    return {key: value for key, value in group.items() if key not in ("params", "lr") and isinstance(value, kept)}
