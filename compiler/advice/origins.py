"""Where the names in a message get what they stand for: a constant where it is given, a parameter at the call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span
from ..semantics.report import CALLED
from .around import Around

_NO_NUMBERS = (tree.String, tree.Bool, tree.Nothing, tree.List)
_WORD = re.compile(r"[a-z_]\w*")
# Where a message has names, not words of a sentence: in a shape, and before the number that a name is.
_SHAPE = re.compile(r"\[[^\]]*\]")
_IS_NUMBER = re.compile(r"\b([a-z_]\w*)(?= \(\d| = \d)")
_MOST_ORIGINS = 3


def with_origin(finding: Diagnostic, around: Around) -> Diagnostic:
    """A wrong value, or a shape that does not fit, with the places that the names in it come from."""
    if finding.code == "shape-mismatch":
        return _of_shape(finding, around)
    if finding.code not in ("wrong-value", "bad-dim", "not-a-flow") or any(t != CALLED for _, t in finding.labels):
        return finding
    for word in _WORD.findall(finding.span.text):
        value, how = _origin(word, finding.span, around)
        if value is not None and (
            word == finding.span.text or any(isinstance(n, _NO_NUMBERS) for n in tree.walk(value))
        ):
            return replace(finding, labels=((value.span, f"`{word}` {how}"), *finding.labels))
    return finding


def _origin(word: str, place: Span, around: Around) -> tuple[tree.Flow | None, str]:
    item = next(iter(around.nodes(place)), None)
    if isinstance(item, tree.Block) and word in (names := [param.name.text for param in item.params or ()]):
        return around.handed(item, names.index(word)), "is given this"
    return around.constants.get(word), "is this"


def _of_shape(finding: Diagnostic, around: Around) -> Diagnostic:
    known = [finding.span, *(span for span, _ in finding.labels)]
    found: list[tuple[Span, str]] = []
    for word in dict.fromkeys(_names(finding)):
        value, how = _only_origin(word, finding.span, around)
        if value is not None and not any(_touch(value.span, span) for span in known):
            found.append((value.span, f"`{word}` {how}"))
    called = [label for label in finding.labels if label[1] == CALLED]
    others = [label for label in finding.labels if label[1] != CALLED]
    return replace(finding, labels=(*others, *found[:_MOST_ORIGINS], *called)) if found else finding


def _only_origin(word: str, place: Span, around: Around) -> tuple[tree.Flow | None, str]:
    """Where a name gets what it stands for, if that is clear: of a parameter by one call."""
    item = next(iter(around.nodes(place)), None)
    value, how = _origin(word, place, around)
    if how == "is given this" and isinstance(item, tree.Block) and len(around.calls_of(item)) != 1:
        return None, how
    return value, how


def _names(finding: Diagnostic) -> Iterator[str]:
    for shape in _SHAPE.findall(finding.message):
        yield from _WORD.findall(shape)
    yield from _IS_NUMBER.findall(finding.message)


def _touch(one: Span, other: Span) -> bool:
    return one.source is other.source and one.start < other.end and other.start < one.end
