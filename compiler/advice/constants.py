"""A constant that is too small for what it is used for: one number to write, and told once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...grammar.diagnostics import Diagnostic
from ...grammar.source import Span

_NO_WIDTH = re.compile(r"this is (?:\w+, which is )?(?:0|-\d+)")
_EXAMPLE = re.compile(r"= (\d+)`")


def each_constant_once(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """The findings, those of a constant that is 0 or less where it is first used: `hidden = 0`, and `Linear(hidden)`
    twice. The help is about the constant, not about the place."""
    first: dict[Span, Diagnostic] = {}
    for finding in found:
        if (place := _constant(finding)) is not None:
            told = first.setdefault(place, finding)
            if finding.span.source is told.span.source and finding.span.start < told.span.start:
                first[place] = finding
    return [_of_constant(d) if place else d for d in found if (place := _constant(d)) is None or first[place] is d]


def _constant(finding: Diagnostic) -> Span | None:
    """Where the constant is given that a finding is about."""
    if finding.code not in ("wrong-value", "bad-dim") or "whole number of at least 1" not in finding.message:
        return None
    spans = [span for span, text in finding.labels if text == f"`{finding.span.text}` is this"]
    return spans[0] if spans and _NO_WIDTH.fullmatch(finding.label) else None


def _of_constant(finding: Diagnostic) -> Diagnostic:
    example = _EXAMPLE.search(finding.help)
    number = example[1] if example and int(example[1]) > 0 else "64"
    return replace(finding, help=f"such as `{finding.span.text} = {number}`", fixes=())
