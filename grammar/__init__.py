"""Text to syntax tree and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import tree
from .diagnostics import Diagnostic, Fix, SpecError, in_source_order, render
from .parser import parse
from .source import Source, Span

if TYPE_CHECKING:
    from .printer import format, spell

__all__ = [
    "Diagnostic",
    "Fix",
    "Source",
    "Span",
    "SpecError",
    "format",
    "in_source_order",
    "parse",
    "render",
    "spell",
    "tree",
]


def __getattr__(name: str) -> Any:
    # Only fmt prints: a check is quicker without the printer.
    if name in ("format", "spell"):
        from . import printer

        return getattr(printer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
