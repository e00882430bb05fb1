"""`dlspec verify-resume`: the same training with and without a restart, compared bit by bit."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..api.compilation import program_of
from ..api.kernel_choice import compile_for_device
from ..api.sources import read_source
from .console import Console
from .python_argument import add_python_argument
from .training import add_device_arguments

STEPS = 20


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to train by (the last of the file)")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"updates in all ({STEPS})")
    add_python_argument(parser)
    add_device_arguments(parser)


def run(options: Namespace, console: Console) -> int:
    source = read_source(options.file)
    artefact = compile_for_device(
        source, options.set, options.recipe, device=options.device, allow_python=options.allow_python
    ).artefact
    from ..runtime import verify_resume

    proof = verify_resume(program_of(artefact), Path(options.file).parent, options.steps, device=options.device)
    console.document(
        equal=True, steps=proof.steps, restart=proof.restart, records=proof.records, files=list(proof.files)
    )
    console.print(
        f"{proof.steps} steps in one go and with a restart after {proof.restart}: "
        f"{proof.records} records of metrics and {', '.join(proof.files)} are equal bit by bit"
    )
    return 0
