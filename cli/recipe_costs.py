"""From a recipe to what the plan has to know of it."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ..compiler.backends.plan import Training
from ..compiler.backends.pytorch.parts import parts_of
from ..compiler.ir.weights import weights
from ..compiler.training.objective import terms
from ..compiler.training.optimizers.muon import Muon

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.layers.kept import Device
    from ..compiler.training.optimizer import Optimizer
    from ..compiler.training.plan import TrainPlan


_NVIDIA = "/dev/nvidiactl"
"""There where the driver of an NVIDIA card is; `plan` asks no framework."""


def training_of(graph: Graph, plan: TrainPlan | None, batch: int | None, device: Device) -> Training:
    """What a recipe costs; `batch` examples computed at once take the place of its own."""
    training = Training(device=device)
    if plan is not None:
        # A weight of several layers is frozen where one of them is.
        held = {w.tied_to or w.key for w in weights(graph) if plan.freezes(w.key)}
        frozen = (w.key for w in weights(graph) if (w.tied_to or w.key) in held)
        training = Training(
            batch=plan.batch,
            accumulate=plan.accumulate,
            precision=plan.precision,  # pyright: ignore[reportArgumentType]  the reader admits no other word
            moments=plan.optimizer.moments,
            other_moments=_other_moments(graph, plan),
            factored=plan.optimizer.factored,
            fused=plan.optimizer.fused,
            frozen=frozenset(frozen),
            scored=_scored(plan),
            averages=plan.ema is not None,
            device=device,
            dims=plan.dims,
        )
    return training if batch is None else replace(training, batch=batch, accumulate=1)


def _other_moments(graph: Graph, plan: TrainPlan) -> dict[str, int]:
    """Where it is not the same number for all weights: of Muon, and with phases, each of which updates some."""
    if not plan.phases:
        return _moments(graph, plan.optimizer) if isinstance(plan.optimizer, Muon) else {}
    found = {weight.key: 0 for weight in weights(graph)}
    for phase in plan.phases:
        kept = _moments(graph, plan.optimizers[phase.name])
        found |= {key: count for key, count in kept.items() if any(name.matches(key) for name in phase.update)}
    return found


def _moments(graph: Graph, optimizer: Optimizer) -> dict[str, int]:
    if not isinstance(optimizer, Muon):
        return {weight.key: optimizer.moments for weight in weights(graph)}
    outer = tuple(f"{path}." for path in parts_of(graph).outer)
    inner = {w.key for w in weights(graph) if len(w.shape) == 2 and not w.key.startswith(outer)}
    return {w.key: (optimizer if w.key in inner else optimizer.apart).moments for w in weights(graph)}


def _scored(plan: TrainPlan) -> frozenset[str] | None:
    """The outputs that the loss reads, in whichever phase."""
    losses = [plan.loss] if plan.loss is not None else [phase.loss for phase in plan.phases if phase.loss is not None]
    values = (value for loss in losses for term in terms(loss) for value in term.values)
    return frozenset(value.name for value in values if value.origin == "output")


def device_here(asked: str) -> Device:
    """`auto` is what `train` would take here: a GPU where there is one, and a PyTorch that runs on it."""
    if asked == "cpu" or asked == "cuda":
        return asked
    try:
        runs_on_gpus = not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        runs_on_gpus = True
    return "cuda" if runs_on_gpus and os.path.exists(_NVIDIA) else "cpu"
