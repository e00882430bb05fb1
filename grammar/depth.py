"""A bound on how deeply a text nests, so that whatever walks its tree by recursion knows how deep it can get."""

from __future__ import annotations

from .diagnostics import Diagnostic
from .layout import CLOSERS, OPENERS
from .source import Source, Span
from .tokens import NEWLINE, Token

# Brackets and operators around one value. People stay below 20.
DEEPEST = 500
_OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "^", "COMPARE", "if"})
_SEPARATORS = frozenset({",", "->", NEWLINE})


def bounded(source: Source, stream: list[Token]) -> tuple[list[Token], list[Diagnostic], list[Span]]:
    """The tokens without the items that nest too deeply, a finding for each, and where they stand.

    Brackets have to match.
    """
    findings: list[Diagnostic] = []
    dropped: list[tuple[int, int]] = []
    operators = [0]  # so far, in each open bracket, since the last separator
    item = depth = 0
    for i, token in enumerate(stream):
        kind = token.kind
        if kind in _OPERATORS:
            operators[-1] += 1
            depth += 1
        elif kind in _SEPARATORS:
            depth -= operators[-1]
            operators[-1] = 0
            if kind == NEWLINE and len(operators) == 1:
                item = i + 1
        elif kind in OPENERS:
            operators.append(0)
            depth += 1
        elif kind in CLOSERS:
            depth -= operators.pop() + 1
        if depth > DEEPEST and not (dropped and dropped[-1][0] == item):
            findings.append(_too_deep(source.span(token.start, token.end), operators[-1]))
            dropped.append((item, _end(stream, i, len(operators) - 1)))
    places = [source.span(stream[start].start, stream[stop - 1].end) for start, stop in dropped]
    for start, stop in reversed(dropped):
        del stream[start:stop]
    return stream, findings, places


def _end(stream: list[Token], i: int, depth: int) -> int:
    """Behind the newline that ends the item around index `i`, where `depth` brackets are open after it."""
    for at in range(i + 1, len(stream)):
        kind = stream[at].kind
        depth += (kind in OPENERS) - (kind in CLOSERS)
        if kind == NEWLINE and depth == 0:
            return at + 1
    return len(stream)


def _too_deep(span: Span, in_a_row: int) -> Diagnostic:
    """`in_a_row` are the operators that stand side by side before the place: each is one level of the tree."""
    if 2 * in_a_row > DEEPEST:
        message, label = f"one expression has more than {DEEPEST} operators", "one too many"
        help_ = "give a part of it a name: `part = ...`, and go on with `part + ...`"
    else:
        message, label = f"this is nested more than {DEEPEST} deep", "brackets and operators around this"
        help_ = "give a part of it a name, or a block of its own"
    return Diagnostic("too-deep", message, span, label, help=help_)
