"""From a recipe to what the plan has to know of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..api.sources import WrongUse
from ..compiler.backends.plan import Training
from ..runtime.errors import Refused

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.pipeline import Analysis
    from ..compiler.training.plan import TrainPlan


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
    return analysis.graphs.get(model.name.text), analysis.recipes.get(name) if name is not None else None


def training_of(plan: TrainPlan | None, batch: int | None) -> Training:
    """What a recipe costs; `batch` examples computed at once take the place of its own."""
    training = Training()
    if plan is not None:
        training = Training(plan.batch, plan.accumulate, plan.precision, _moments(plan))  # pyright: ignore[reportArgumentType]  the reader admits no other word
    return training if batch is None else replace(training, batch=batch, accumulate=1)


def _moments(plan: TrainPlan) -> int:
    """How many numbers the optimizer keeps for each parameter."""
    optimizer = plan.optimizer
    momentum = getattr(optimizer, "momentum", None)
    if momentum is not None:
        return 1 if momentum.value else 0
    return 2
