"""Names that a block's signature gives twice: a call could not say which of the two it means."""

from __future__ import annotations

from collections.abc import Iterable

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.source import Span
from ..semantics.report import Report


def report_repeated(block: tree.Block | tree.Model, report: Report) -> bool:
    """Whether parameters and inputs, or outputs, share a name (reported)."""
    signature = block.signature
    params = block.params if isinstance(block, tree.Block) else None
    entering = [*(params or ()), *(signature.inputs if signature else ())]
    leaving = (signature.outputs if signature else None) or ()
    return _report(entering, report) | _report(leaving, report)


def _report(entries: Iterable[tree.Param | tree.Port], report: Report) -> bool:
    first: dict[str, tuple[tree.Name, type[tree.Node]]] = {}
    repeated = False
    last: tree.Param | tree.Port | None = None
    for entry in entries:
        last, before_it = entry, last
        if entry.name is None:
            continue
        before, kind = first.setdefault(entry.name.text, (entry.name, type(entry)))
        if before is entry.name:
            continue
        repeated = True
        report.error(
            "repeated-name",
            f"`{entry.name}` is {'given twice here' if kind is type(entry) else 'a parameter and an input'}",
            entry.name.span,
            "given again here",
            labels=((before.span, "given here first"),),
            help="a call says by its name which is meant: give one of them another",
            fixes=_without(entry, before_it) if kind is tree.Param and isinstance(entry, tree.Param) else (),
        )
    return repeated


def _without(param: tree.Param, before: tree.Node | None) -> tuple[Fix, ...]:
    """The edit that takes out a parameter, with the comma in front of it."""
    return () if before is None else (Fix(Span(param.span.source, before.span.end, param.span.end), ""),)
