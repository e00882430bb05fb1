"""`dlspec train`: a model trained from its first step into a new run directory."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..api.sources import read_source
from .console import Console
from .python_argument import add_python_argument
from .tiles_argument import add_tiles_argument, tiles_of
from .training import add_device_arguments, command_text, display_of, tell_kernels, tell_plan, tell_result


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to train by (the last of the file)")
    parser.add_argument("--run", metavar="DIR", type=Path, help="the new run directory (runs/<name>-<n>)")
    parser.add_argument("--dry-run", action="store_true", help="open the data, say what would be done, and do nothing")
    add_tiles_argument(parser)
    add_python_argument(parser)
    add_device_arguments(parser)


def run(options: Namespace, console: Console) -> int:
    source = read_source(options.file)
    from ..api.training import prepare_training, start_training

    base = Path(options.file).parent
    prepared = prepare_training(
        source,
        base,
        set=options.set,
        recipe=options.recipe,
        run=options.run,
        device=options.device,
        allow_python=options.allow_python,
        tiles=tiles_of(options),
    )
    if not console.quiet:
        console.diagnostics(prepared.warnings)
    if options.strict and prepared.warnings:
        return 1
    tell_kernels(prepared, options, console)
    if options.dry_run:
        tell_plan(prepared, options, console)
        return 0
    result = start_training(prepared, device=options.device, display=display_of(console), command=command_text("train"))
    tell_result(result, console)
    return 0
