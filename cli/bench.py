"""`dlspec bench`: each kernel of a spec beside PyTorch's own, and the time of a whole step with them and without."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..api.sources import read_source
from .console import Console, table
from .python_argument import add_python_argument


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to measure (the last of the file)")
    words = ["auto", "torch", "triton"]
    kernels = "those that are measured beside PyTorch's own (triton)"
    parser.add_argument("--kernels", choices=words, default="triton", help=kernels)
    device = "cuda, with or without a number, or cpu: the time of a step and the plain forms alone (cuda)"
    parser.add_argument("--device", default="cuda", metavar="NAME", help=device)
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
