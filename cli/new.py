"""`dlspec new`: a spec to start from."""

from __future__ import annotations

import keyword
from argparse import ArgumentParser, Namespace
from difflib import get_close_matches
from pathlib import Path

from ..api.sources import WrongUse
from ..runtime.errors import Refused
from .command_line import refuse_set
from .console import Console

SPECS = Path(__file__).resolve().parents[1] / "specs"
NEXT_STEPS = """\
#
#   dlspec check {name}.dlspec     finds every error before anything runs
#   dlspec plan {name}.dlspec      says what it costs
#   dlspec train {name}.dlspec     trains it into runs/{name}-1
#   dlspec export runs/{name}-1 -o models
#
# `--set name=value` on any of them changes a constant for once.
"""


def add_arguments(parser: ArgumentParser) -> None:
    known = ", ".join(templates())
    parser.add_argument("name", metavar="NAME", help="NAME.dlspec is written")
    parser.add_argument("--from", dest="template", default="digits", metavar="SPEC", help=f"{known} (digits)")


def templates() -> list[str]:
    """The specs that ship."""
    return sorted(path.stem for path in SPECS.glob("*.dlspec"))


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "write the value into the new file")
    if options.template not in templates():
        near = get_close_matches(options.template, templates(), n=1)
        raise WrongUse(
            f"there is no spec {options.template} to start from",
            f"`--from {near[0]}`" if near else f"there are: {', '.join(templates())}",
        )
    path = Path(options.name)
    name = path.name.removesuffix(".dlspec")
    path = path.with_name(f"{name}.dlspec")
    if not name.isidentifier() or keyword.iskeyword(name):
        meant = "".join(c if c.isalnum() else "_" for c in name)
        raise WrongUse(
            f"{name} cannot be the name of a spec: the emitted module is called after it",
            f"`dlspec new {meant}`" if meant.isidentifier() and not keyword.iskeyword(meant) else "use letters and `_`",
        )
    text = _text(options.template, name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(f"{path} exists already", "Give another name.") from None
    console.say(f"{path}: from {options.template}; `dlspec check {path}`")
    console.document(file=str(path), template=options.template)
    return 0


def _text(template: str, name: str) -> str:
    """The template with files called after the new name, and what to do next below its first comment."""
    text = (SPECS / f"{template}.dlspec").read_text(encoding="utf-8").replace(f'"{template}.', f'"{name}.')
    header, _, rest = text.partition("\n\n")
    return f"{header}\n{NEXT_STEPS.format(name=name)}\n{rest}"
