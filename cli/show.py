"""`dlspec show`: the model as a table, a stage of the compiler as text, or a picture."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.sources import WrongUse
from ..grammar.diagnostics import SpecError
from .chosen_model import add_model_argument, chosen_graph, tell_of_other_models
from .console import Console, table
from .plan import layer_rows, size_texts, tell_of_unbounded
from .python_argument import add_python_argument
from .spec_analysis import analysed, report_left_out
from .text_file import replace_text

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph
    from ..compiler.pipeline import Analysis
    from ..compiler.training.plan import TrainPlan

_ANY_STAGE = "`--stage module` shows any model"
STAGES = ("ast", "resolved", "ir", "passes", "module", "kernels")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    add_python_argument(parser)
    add_model_argument(parser)
    parser.add_argument("--stage", choices=STAGES, help="what the compiler makes of it, in this order")
    parser.add_argument("--svg", type=Path, metavar="OUT", help="write a picture of the model into this file")
    parser.add_argument("--recipe", metavar="NAME", help="show the model of this recipe (the last of the file)")


def run(options: Namespace, console: Console) -> int:
    if options.svg is not None and options.stage is not None:
        raise WrongUse("`--svg` draws the model, and `--stage` shows a stage of the compiler as text", "take one out")
    if options.svg is not None and options.svg.suffix.lower() != ".svg":
        raise WrongUse(
            f"the picture is SVG, and {options.svg} is none", f"write `--svg {options.svg.with_suffix('.svg')}`"
        )
    analysis = analysed(options.file, options.set, allow_python=options.allow_python)
    graph, recipe = chosen_graph(analysis, options.recipe, options.model)
    if options.svg is not None:
        return _draw(graph, analysis, options, console)
    if options.stage in ("ast", "resolved"):
        from .stages import resolved_text, tree_text

        text = tree_text(analysis.file) if options.stage == "ast" else resolved_text(analysis)
    elif graph is None:
        return report_left_out(analysis, "the model cannot be shown", options, console)
    else:
        try:
            text = _shown(options.stage, analysis, graph, recipe, console)
        except SpecError:  # kernels come with an emission, and what is not in this version yet is not emitted
            return report_left_out(analysis, "the kernels cannot be shown", options, console)
    console.print(text)
    console.document(stage=options.stage or "table", text=text)
    if graph is not None and options.stage not in ("ast", "resolved"):
        tell_of_other_models(analysis, graph, options, console)
    return report_left_out(analysis, "", options, console)


def _draw(graph: Graph | None, analysis: Analysis, options: Namespace, console: Console) -> int:
    from ..compiler.backends.svg import svg_text

    if graph is None:
        return report_left_out(analysis, "the model cannot be drawn", options, console)
    replace_text(options.svg, svg_text(graph))
    console.say(str(options.svg))
    console.document(files=[str(options.svg)])
    tell_of_other_models(analysis, graph, options, console)
    return report_left_out(analysis, "", options, console)


def _shown(stage: str | None, analysis: Analysis, graph: Graph, recipe: TrainPlan | None, console: Console) -> str:
    match stage:
        case "ir":
            from .stages import built_text

            return built_text(analysis, graph.model.name)
        case "passes":
            from ..compiler.ir.text import graph_text

            return graph_text(graph)
        case "module":
            from .stages import module_text

            return module_text(analysis, graph, recipe)
        case "kernels":
            from .stages import kernels_text

            text = kernels_text(analysis, graph, recipe)
            if text is None:
                another = "the model that a recipe trains, or of the last of the file"
                raise WrongUse(f"`emit` writes the kernels of {another}: not those of {graph.model.name}", _ANY_STAGE)
            return text
    return _table(graph, recipe, console)


def _table(graph: Graph, recipe: TrainPlan | None, console: Console) -> str:
    """The layers, with the FLOPs of one example at the limits of open dims, or at what the data of the recipe has."""
    from ..compiler.backends.plan import Training, layers_together
    from ..compiler.backends.sizes import open_dims
    from ..compiler.ir.weights import parameter_count

    known = {} if recipe is None else recipe.dims
    _, sizes, unbounded = open_dims(graph, known)
    tell_of_unbounded(sizes, unbounded, console)
    rows = table(layer_rows(layers_together(graph, Training(dims=known))), right=frozenset({"parameters", "FLOPs"}))
    at = f", FLOPs at {', '.join(size_texts(sizes))}" if sizes else ""
    return f"{graph.model.name}: {graph.doc}\n\n{rows}\n\n{parameter_count(graph):,} parameters{at}"
