"""Where the comments of a text belong in its tree, so that the printer can put them back."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from .lexer import comments
from .source import Source, Span


@dataclass(frozen=True)
class Container:
    """A stretch of text with elements one after the other: a body's lines, a call's arguments, a chain's stages."""

    start: int
    end: int
    elements: tuple[Span, ...]


@dataclass
class Remarks:
    """The comments of one container: above and behind its elements, behind its opening bracket, and after the last."""

    above: dict[int, list[Span]] = field(default_factory=dict)
    behind: dict[int, Span] = field(default_factory=dict)
    opening: Span | None = None
    last: list[Span] = field(default_factory=list)


def attach(source: Source, containers: Iterable[Container]) -> dict[Container, Remarks]:
    """Every comment goes to the innermost container around it; inside an element, above that element."""
    ordered = sorted(containers, key=lambda c: (c.start, -c.end))
    out: dict[Container, Remarks] = {}
    open_: list[Container] = []
    i = 0
    for comment in comments(source):
        while i < len(ordered) and ordered[i].start <= comment.start:
            while open_ and open_[-1].end <= ordered[i].start:
                open_.pop()
            open_.append(ordered[i])
            i += 1
        while open_[-1].end <= comment.start:
            open_.pop()
        _place(out.setdefault(open_[-1], Remarks()), open_[-1], comment)
    return out


def _place(remarks: Remarks, container: Container, comment: Span) -> None:
    after = bisect_right(container.elements, comment.start, key=lambda span: span.start)
    if after and comment.start < container.elements[after - 1].end:
        remarks.above.setdefault(after - 1, []).append(comment)
        return
    shares = comment.source.text[: comment.start].rstrip(" \t")[-1:] not in ("", "\n")
    if shares and after and _same_line(container.elements[after - 1].end, comment):
        remarks.behind[after - 1] = comment
    elif shares and not after and container.start >= 0 and remarks.opening is None:
        remarks.opening = comment
    elif after < len(container.elements):
        remarks.above.setdefault(after, []).append(comment)
    else:
        remarks.last.append(comment)


def _same_line(offset: int, comment: Span) -> bool:
    return "\n" not in comment.source.text[offset : comment.start]
