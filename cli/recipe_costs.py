"""From a recipe to what the plan has to know of it."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ..compiler.backends.plan import Training
from ..compiler.ir.weights import weights
from ..compiler.training.objective import terms

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.layers.kept import Device
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
            factored=plan.optimizer.factored,
            fused=plan.optimizer.fused,
            frozen=frozenset(frozen),
            scored=_scored(plan),
            averages=plan.ema is not None,
            device=device,
            dims=plan.dims,
        )
    return training if batch is None else replace(training, batch=batch, accumulate=1)


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
