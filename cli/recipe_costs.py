"""From a recipe to what the plan has to know of it."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from ..api.sources import WrongUse
from ..compiler.backends.plan import Training
from ..compiler.ir.weights import weights
from ..compiler.training.objective import terms
from ..runtime.errors import Refused

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.layers.kept import Device
    from ..compiler.pipeline import Analysis
    from ..compiler.training.plan import TrainPlan


_NVIDIA = "/dev/nvidiactl"
"""There where the driver of an NVIDIA card is; `plan` asks no framework."""


def chosen_graph(analysis: Analysis, recipe: str | None) -> tuple[Graph | None, TrainPlan | None]:
    """The model that a recipe trains, and the recipe: the one asked for, else the last of the file, else a model alone.

    The graph is None where a part of the model is not in this version. Raises WrongUse for an unknown recipe.
    """
    spec = analysis.spec
    if spec is None:
        return None, None
    recipes = spec.scope.recipes
    if recipe is not None and recipe not in recipes:
        known = f"there are: {', '.join(recipes)}" if recipes else "the file has no `train` section"
        raise WrongUse(f"{spec.source.name} has no recipe {recipe}", known)
    from ..compiler.semantics.resolve import first_model

    name = recipe if recipe is not None else next(reversed(recipes), None)
    model = first_model(spec, [recipes[name].model.text] if name is not None else ())
    if model is None:
        raise Refused(f"{spec.source.name} has no model")
    return analysis.graphs.get(model.name.text), analysis.plans.get(name) if name is not None else None


def training_of(graph: Graph, plan: TrainPlan | None, batch: int | None, device: Device) -> Training:
    """What a recipe costs; `batch` examples computed at once take the place of its own."""
    training = Training(device=device)
    if plan is not None:
        frozen = (w.key for w in weights(graph) if any(name.matches(w.key) for name in plan.freeze))
        training = Training(
            batch=plan.batch,
            accumulate=plan.accumulate,
            precision=plan.precision,  # pyright: ignore[reportArgumentType]  the reader admits no other word
            moments=plan.optimizer.moments,
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
