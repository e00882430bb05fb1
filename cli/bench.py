"""`dlspec bench`: each kernel of a spec beside PyTorch's own, and the time of a whole step with them and without."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from ..api.sources import read_source
from .console import Console, table
from .python_argument import add_python_argument

if TYPE_CHECKING:
    from ..api.bench import Bench


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to measure (the last of the file)")
    words = ["auto", "torch", "triton"]
    kernels = "those that are measured beside PyTorch's own (triton)"
    parser.add_argument("--kernels", choices=words, default="triton", help=kernels)
    device = "cuda, with or without a number, or cpu: the time of a step and the plain forms alone (cuda)"
    parser.add_argument("--device", default="cuda", metavar="NAME", help=device)
    tune = "try tiles for each kernel on this GPU, write the best for train and emit, and measure nothing else"
    parser.add_argument("--tune", metavar="TILES", type=Path, help=tune)
    add_python_argument(parser)


def run(options: Namespace, console: Console) -> int:
    source = read_source(options.file)
    from ..api.bench import Bench
    from .bench_tables import kernel_json, kernel_rows, step_json, step_rows

    bench = Bench(
        source,
        Path(options.file).parent,
        set=options.set,
        recipe=options.recipe,
        kernels=options.kernels,
        device=options.device,
        allow_python=options.allow_python,
    )
    if not console.quiet:
        console.diagnostics(bench.warnings)
    if options.strict and bench.warnings:
        return 1
    if options.tune is not None:
        return _tune(bench, options.tune, console)
    kernels = bench.kernels()
    if kernels:
        console.print(table(kernel_rows(kernels), right=frozenset({"forward", "backward", "both", "memory"})))
        console.print()
    steps = list(bench.steps())
    console.print(table(step_rows(steps, bench.unit), right=frozenset({"step", bench.unit, "MFU", "memory"})))
    console.document(
        spec=bench.program.name,
        recipe=bench.program.options.recipe,
        **bench.conditions,
        kernels=[kernel_json(one) for one in kernels],
        steps=[step_json(one, bench.unit) for one in steps],
    )
    return 0


def _tune(bench: Bench, path: Path, console: Console) -> int:
    from ..api.bench import tuned_tables
    from ..api.tiles import tiles_text
    from .bench_tables import tuned_json, tuned_rows
    from .text_file import replace_text

    found = bench.tune()
    tables = tuned_tables(found)
    replace_text(path, tiles_text(bench.program.name, bench.conditions["versions"].get("gpu", ""), tables))
    rows = tuned_rows(found)
    if rows:
        console.print(table(rows, right=frozenset({"before", "after"})))
    changed = f"{len(tables)} of the tables are other than those that come with dlspec" if tables else "none is better"
    console.say(f"{path}: {changed}")
    console.document(tiles=str(path), tables=tables, tried=tuned_json(found), **bench.conditions)
    return 0
