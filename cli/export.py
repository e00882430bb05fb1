"""`dlspec export`: the files that leave the house, with proof."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from ..api.sources import WrongUse
from .command_line import refuse_set
from .console import Console
from .run_arguments import add_run_arguments, open_told
from .units import bytes_text

FORMATS = {"onnx": ".onnx", "torchscript": ".pt"}
LATER = frozenset({"pt2", "bundle"})


def add_arguments(parser: ArgumentParser) -> None:
    add_run_arguments(parser)
    parser.add_argument("-o", "--output", metavar="DIR", required=True, type=Path, help="the folder to write into")
    parser.add_argument("--to", metavar="FORMATS", help="onnx,torchscript or one of them (what the spec says)")
    parser.add_argument("--weights", choices=["inline", "file", "reference"], help="of ONNX: where they are")
    parser.add_argument("--opset", type=int, choices=[23], default=23, help="of ONNX: 23 is the one of this version")
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="the checkpoint of this step (the newest)")
    parser.add_argument("--no-proof", action="store_true", help="do not compare the files with the trained model")


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "a run is exported as it was trained")
    wanted = None if options.to is None else _formats(options.to)
    trained = open_told(options.run, options, console)
    from ..api.export_files import chosen_files, export_files

    files = chosen_files(trained, wanted)
    report = export_files(
        trained,
        files,
        options.output,
        checkpoint=options.checkpoint,
        weights=options.weights,
        proved=not options.no_proof,
    )
    console.document(directory=str(options.output), report=report)
    for name, facts in report["files"].items():
        console.say(f"{options.output / name}  {bytes_text(facts['size'])}{_proof_text(facts['proof'])}")
    return 0


def _formats(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name in LATER:
            help = f"`--to {','.join(FORMATS)}`, or one of them"
            raise WrongUse(f"{name} is a format of the language that this version does not write", help)
        if name not in FORMATS:
            raise WrongUse(f"there is no format {name}", f"`--to {','.join(FORMATS)}`, or one of them")
    if not names:
        raise WrongUse("--to names no format", f"`--to {','.join(FORMATS)}`, or one of them")
    return list(dict.fromkeys(names))


def _proof_text(proof: dict[str, Any] | None) -> str:
    """What was compared, in half a line."""
    if proof is None:
        return ""
    compared = [one for stage in proof["stages"] for one in stage["comparisons"]]
    worst = max(compared, key=lambda one: one["difference"] / one["allowed"] if one["allowed"] else 0.0)
    return (
        f"  proved at {len({one['sizes'] for one in compared})} shapes: "
        f"{worst['difference']:.1e} off at most, {worst['allowed']:.1e} allowed"
    )
