"""`dlspec fmt`: the one layout of the language, with all comments kept."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..api.sources import read_source
from ..grammar.diagnostics import Diagnostic, SpecError
from .command_line import refuse_set
from .console import Console
from .text_file import replace_text


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a .dlspec file")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a file would change")


def run(options: Namespace, console: Console) -> int:
    refuse_set(options, "fmt changes the layout of a file and nothing else")
    from ..grammar import format, parse

    wrong: list[Diagnostic] = []
    outcome: list[dict[str, object]] = []
    for name in options.files:
        try:
            source = read_source(name)
        except SpecError as error:
            wrong += error.diagnostics
            continue
        file, found = parse(source)
        errors = [d for d in found if d.severity == "error"]
        if errors:
            wrong += errors
            continue
        text = format(file, source)
        changed = text != source.text
        outcome.append({"file": name, "changed": changed})
        if changed and not options.check:
            replace_text(Path(name), text)
        if changed:
            console.say(f"{name}: {'would change' if options.check else 'laid out'}")
    if wrong:  # files without a fault are laid out all the same
        raise SpecError(wrong)
    console.document(files=outcome)
    return 1 if options.check and any(one["changed"] for one in outcome) else 0
