"""`dlspec emit`: the model and its recipe as readable PyTorch."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..api.tiles import fitting_tiles
from .console import Console
from .kernel_notes import kernel_notes
from .python_argument import add_python_argument
from .spec_analysis import analysed, report_left_out
from .text_file import make_folder, replace_text
from .tiles_argument import add_tiles_argument, tiles_of


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    add_python_argument(parser)
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder to write into")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to emit (the last of the file)")
    kernels = "instead of the recipe's; auto is torch here, where nobody knows the device"
    add_tiles_argument(parser)
    parser.add_argument("--kernels", choices=["auto", "torch", "triton"], help=kernels)


def run(options: Namespace, console: Console) -> int:
    from ..compiler.pipeline import emit
    from ..grammar.diagnostics import SpecError
    from .chosen_model import chosen_graph

    tiles = tiles_of(options)
    analysis = analysed(options.file, options.set, allow_python=options.allow_python)
    graph, recipe = chosen_graph(analysis, options.recipe)
    assert analysis.spec is not None
    if graph is None:
        return report_left_out(analysis, "nothing was written, the model cannot be emitted", options, console)
    try:
        with fitting_tiles():
            artefact = emit(analysis, options.recipe, options.kernels, tiles)
    except SpecError:
        return report_left_out(analysis, "nothing was written, the model cannot be emitted", options, console)
    folder = Path(options.output)
    make_folder(folder)
    for name, text in artefact.files.items():
        replace_text(folder / name, text)
        console.say(f"{folder / name}")
    for line in kernel_notes(artefact.without_kernels):
        console.note(line)
    console.document(files=[str(folder / name) for name in artefact.files])
    left_out = recipe is None and analysis.spec.scope.recipes
    return report_left_out(analysis, "the recipe was left out" if left_out else "", options, console)
