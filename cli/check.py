"""`dlspec check`: all findings of all files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api.sources import Unreadable, read_source
from ..grammar.diagnostics import Diagnostic, SpecError
from .console import Console, counted
from .python_argument import add_python_argument

if TYPE_CHECKING:
    from ..compiler.pipeline import Analysis

SHOWN = 100
"""More findings of one file help nobody; `--json` has them all."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a .dlspec file")
    add_python_argument(parser)
    parser.add_argument("--data", action="store_true", help="open the data as well, and check it against the spec")


def run(options: Namespace, console: Console) -> int:
    found: list[Diagnostic] = []
    unreadable: list[Unreadable] = []
    for name in options.files:
        try:
            mine = _check(name, options)
        except Unreadable as fault:
            unreadable.append(fault)
            if not console.json:
                console.fault_text(fault, console.out)
                console.print()
            continue
        found += mine
        console.diagnostics(mine[:SHOWN], to=console.out)
        if len(mine) > SHOWN:
            console.print(f"... and {len(mine) - SHOWN:,} more\n")
        console.say(f"{name}: {_verdict(mine)}")
    console.document(diagnostics=[*map(_unreadable_json, unreadable), *(d.as_json() for d in found)])
    if unreadable:
        return 2
    return 1 if any(d.severity == "error" or options.strict for d in found) else 0


def _check(name: str, options: Namespace) -> list[Diagnostic]:
    from ..compiler.pipeline import analyse

    try:
        analysis = analyse(read_source(name), options.set, allow_python=options.allow_python)
    except SpecError as error:
        return error.diagnostics
    if options.data and not analysis.failed:
        return [*analysis.diagnostics, *_check_data(analysis, Path(name).parent)]
    return analysis.diagnostics


def _check_data(analysis: Analysis, base: Path) -> list[Diagnostic]:
    from .data_check import check_recipes

    return check_recipes(analysis, base)


def _verdict(found: list[Diagnostic]) -> str:
    counts = {severity: sum(d.severity == severity for d in found) for severity in ("error", "warning", "note")}
    told = ", ".join(counted(count, severity) for severity, count in counts.items() if count)
    if counts["error"]:
        return told
    return f"no errors, {told}" if told else "no errors"


def _unreadable_json(fault: Unreadable) -> dict[str, Any]:
    place = {"line": 1, "column": 1, "end_line": 1, "end_column": 1}
    told = {"message": fault.message, "label": "", "labels": [], "help": fault.help, "fixes": []}
    return {"severity": "error", "code": "unreadable-file", "file": fault.name, **place, **told}
