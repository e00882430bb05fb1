"""`dlspec emit`: the model and its recipe as readable PyTorch."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .console import Console
from .spec_analysis import analysed, report_left_out
from .text_file import make_folder, replace_text


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder to write into")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to emit (the last of the file)")
    parser.add_argument("--kernels", choices=["auto", "torch"], default="auto", help="auto is torch in this version")


def run(options: Namespace, console: Console) -> int:
    from ..compiler.pipeline import emit
    from .recipe_costs import chosen_graph

    analysis = analysed(options.file, options.set)
    graph, recipe = chosen_graph(analysis, options.recipe)
    assert analysis.spec is not None
    if graph is None or (recipe is None and analysis.spec.scope.recipes):
        what = "the model" if graph is None else "the recipe"
        return report_left_out(analysis, f"nothing was written, {what} cannot be emitted", options, console)
    artefact = emit(analysis, options.recipe)
    folder = Path(options.output)
    make_folder(folder)
    for name, text in artefact.files.items():
        replace_text(folder / name, text)
        console.say(f"{folder / name}")
    console.document(files=[str(folder / name) for name in artefact.files])
    return report_left_out(analysis, "", options, console)
