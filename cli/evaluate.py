"""`dlspec evaluate`: the loss and metrics of a run over a whole split."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from .command_line import refuse_set
from .console import Console
from .run_arguments import add_run_arguments, open_told
from .training import display_of


def add_arguments(parser: ArgumentParser) -> None:
    add_run_arguments(parser)
    parser.add_argument("--split", default="validation", metavar="NAME", help="validation or train")
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="the checkpoint of this step (the newest)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (a GPU where there is one), cpu or cuda")


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "a run is evaluated as it was trained")
    trained = open_told(options.run, options, console)
    from ..runtime import Quiet, evaluate

    values = evaluate(
        trained.program,
        options.run,
        options.split,
        device=options.device,
        checkpoint=options.checkpoint,
        trust_code=options.trust_run_code,
        display=Quiet() if console.json else display_of(console),
    )
    console.document(run=str(options.run), split=options.split, values=values)
    width = max(map(len, values))
    for name, value in values.items():
        console.print(f"{name:<{width}}  {'not finite' if value is None else f'{value:.6g}'}")
    return 0
