"""Text to syntax tree and back."""

from . import tree
from .diagnostics import Diagnostic, Fix, SpecError, in_source_order, render
from .parser import parse
from .printer import format, spell
from .source import Source, Span

__all__ = ["Diagnostic", "Fix", "Source", "Span", "SpecError", "format", "in_source_order", "parse", "render", "spell", "tree"]
