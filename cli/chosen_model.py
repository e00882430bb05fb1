"""Which model of a file a verb is about, and the recipe that it is trained by."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from ..api.sources import WrongUse
from ..runtime.errors import Refused
from .console import Console

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.pipeline import Analysis
    from ..compiler.semantics.resolve import Spec
    from ..compiler.training.plan import TrainPlan


def add_model_argument(parser: ArgumentParser) -> None:
    """For verbs that look at a model, whether a recipe trains it or not."""
    parser.add_argument("--model", metavar="NAME", help="the model to look at (the one of the recipe)")


def chosen_graph(
    analysis: Analysis, recipe: str | None, model: str | None = None
) -> tuple[Graph | None, TrainPlan | None]:
    """The model that was asked for, and its recipe: the one asked for, else the last of the file that trains it.

    Where no model is named it is that of the recipe, else the last of the file. The graph is None where a part of the
    model is not in this version, the recipe where none trains it or this version has not all of it. Raises WrongUse for
    an unknown model or recipe, or a recipe of another model.
    """
    spec = analysis.spec
    if spec is None:
        return None, None
    recipes = spec.scope.recipes
    if recipe is not None and recipe not in recipes:
        known = f"there are: {', '.join(recipes)}" if recipes else "the file has no `train` section"
        raise WrongUse(f"{spec.source.name} has no recipe {recipe}", known)
    if model is None:
        from ..compiler.semantics.resolve import first_model

        name = recipe if recipe is not None else next(reversed(recipes), None)
        first = first_model(spec, [recipes[name].model.text] if name is not None else ())
        if first is None:
            raise Refused(f"{spec.source.name} has no model")
        model = first.name.text
    else:
        name = _recipe_of(model, recipe, spec)
    return analysis.graphs.get(model), analysis.plans.get(name) if name is not None else None


def _recipe_of(model: str, recipe: str | None, spec: Spec) -> str | None:
    """The recipe of a model that was asked for by name."""
    if model not in spec.scope.models:
        raise WrongUse(f"{spec.source.name} has no model {model}", f"there are: {', '.join(spec.scope.models)}")
    trained_by = [name for name, train in spec.scope.recipes.items() if train.model.text == model]
    if recipe is not None and recipe not in trained_by:
        own = f"recipes of {model}: {', '.join(trained_by)}" if trained_by else f"no recipe trains {model}"
        trained = spec.scope.recipes[recipe].model
        raise WrongUse(f"the recipe {recipe} trains {trained}, not {model}", f"{own}; leave out one of the two")
    return recipe if recipe is not None else next(reversed(trained_by), None)


def tell_of_other_models(analysis: Analysis, graph: Graph, options: Namespace, console: Console) -> None:
    """Where nothing was said of which model, and the file has more than the one that is shown."""
    if analysis.spec is None or options.model is not None or options.recipe is not None:
        return
    others = [name for name in analysis.spec.scope.models if name != graph.model.name]
    if others:
        which = f"the model shown is {graph.model.name}"
        console.note(f"{which}; the file has {', '.join(others)} too (`--model {others[0]}`)")
