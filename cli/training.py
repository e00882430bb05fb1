"""What train, resume and verify-resume share: options, the data, the display, how it ended."""

from __future__ import annotations

import shlex
import sys
from argparse import Action, ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from .console import Console
from .kernel_notes import kernel_notes, no_gpu_note

if TYPE_CHECKING:
    from ..api.training import Prepared
    from ..runtime import Display
    from ..runtime.sessions import Result


def add_device_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (a GPU where there is one), cpu or cuda")
    words = ["auto", "torch", "triton"]
    parser.add_argument("--kernels", choices=words, action=_SetKernels, help="auto: those of the spec on a GPU")


class _SetKernels(Action):
    """It is one of the overrides, and a run remembers it as such."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None) -> None:
        namespace.set = [*namespace.set, f"train.kernels={values}"]


def display_of(console: Console) -> Display:
    """A panel on a terminal, plain lines elsewhere, JSON lines with `--json`."""
    from ..runtime import open_display

    if console.json:
        return open_display("json", console.out)
    return open_display("quiet" if console.quiet else "auto", console.out)


def command_text(verb: str) -> str:
    """The command as it was typed, for the manifest."""
    words = sys.argv[1:] if sys.argv[1:2] == [verb] else [verb]
    return shlex.join(["dlspec", *words])


def tell_result(result: Result, console: Console) -> None:
    """The end of a training."""
    from ..runtime.display import figure

    figures: dict[str, Any] = {
        "run": str(result.run),
        "step": result.step,
        "steps": result.steps,
        "finished": result.finished,
        "validation": dict(result.validation),
        "best": result.best,
    }
    console.document(event="end", **figures)
    measured = ", ".join(f"{name} {figure(value)}" for name, value in result.validation.items())
    early = ", stopped early" if result.finished == "early_stop" else ""
    console.say(f"{result.run}: step {result.step:,} of {result.steps:,}{early}{f'; {measured}' if measured else ''}")
    if result.best not in (None, result.step):
        console.say(f"the best validation was at step {result.best:,}: `--checkpoint {result.best}` takes its weights")


def tell_kernels(prepared: Prepared, options: Namespace, console: Console) -> None:
    """Why kernels that were asked for do not run, a line each."""
    from ..runtime.device import choose_device

    has_kernels = f"{prepared.program.name}_kernels.py" in prepared.program.beside
    device = choose_device(options.device).type if has_kernels else ""
    for line in (*kernel_notes(prepared.without_kernels), *no_gpu_note(has_kernels=has_kernels, device=device)):
        console.note(line)
    if prepared.no_kernels:
        console.note(f"PyTorch's own kernels run: {prepared.no_kernels}")


def tell_plan(prepared: Prepared, options: Namespace, console: Console) -> None:
    """What a training would do (`--dry-run`). Raises Refused where data or weights to start from do not fit."""
    from ..api.training import opened
    from ..runtime.device import choose_device
    from ..runtime.order import Order
    from ..runtime.preparation import open_fitting_data, open_starting_weights

    program, data = prepared.program, prepared.data
    start = open_starting_weights(program, prepared.base)
    if start is not None:
        start.fit(program.make_model(), program.options.copies)
    open_fitting_data(program, prepared.base, opened(data), display_of(console))
    settings = program.options
    order = Order(settings.seed, len(data.train), settings.batch)
    steps = settings.steps or max(1, round((settings.epochs or 0) * order.per_epoch))
    device = choose_device(options.device)
    figures: dict[str, Any] = {
        "recipe": settings.recipe,
        "parameters": program.settings["model"]["parameters"],
        "examples": len(data.train),
        "validation_examples": len(data.validation) if data.validation is not None else 0,
        "steps": steps,
        "batch": settings.batch,
        "accumulate": settings.accumulate,
        "precision": settings.precision,
        "device": str(device),
        "fields": {name: {"dtype": f.dtype, "dims": list(f.dims)} for name, f in data.fields.items()},
    }
    console.document(event="plan", **figures)
    for name, value in figures.items():
        if name != "fields":
            console.print(f"{name.replace('_', ' '):<20} {f'{value:,}' if isinstance(value, int) else value}")
    for name, f in data.fields.items():
        console.print(f"{'field ' + name:<20} {f.dtype}{list(f.dims)}")
    console.say("nothing was trained, and nothing written")
