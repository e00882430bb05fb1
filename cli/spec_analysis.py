"""A spec file read and checked, for verbs that go on from there."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from ..api.compilation import LATER
from ..api.sources import read_source
from ..grammar.diagnostics import SpecError
from .console import Console

if TYPE_CHECKING:
    from ..compiler.pipeline import Analysis


def analysed(name: str, overrides: list[str], *, allow_python: bool) -> Analysis:
    """All that is known of a file without errors. Raises SpecError with every finding, Unreadable."""
    from ..compiler.pipeline import analyse

    analysis = analyse(read_source(name), overrides, allow_python=allow_python)
    if analysis.failed or analysis.spec is None:
        raise SpecError(analysis.diagnostics)
    return analysis


def report_left_out(analysis: Analysis, consequence: str, options: Namespace, console: Console) -> int:
    """Tell of warnings and notes, and of what follows from them; the exit code, 1 with `--strict`."""
    found = analysis.diagnostics
    if not console.quiet:
        console.diagnostics(found)
    if consequence:
        missing = [d.as_json() for d in found if d.code == LATER]
        console.fault_line(f"note: {consequence}: the spec asks for what is not in this version")
        console.document(left_out=consequence, diagnostics=missing)
    return 1 if options.strict and found else 0
