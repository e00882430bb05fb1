"""Where the comments of a text belong in its tree, so that the printer can put them back."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from . import tree
from .lexer import comments
from .source import Source, Span

_CLOSING = re.compile(r"(?:[\s,(]|#[^\n]*)*\)")


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


def containers(node: tree.Node) -> Iterator[tuple[str, Container]]:
    """The stretches of text in which comments can stand between elements."""
    span = node.span
    match node:
        case tree.File():
            version = [] if node.version is None else [node.version]
            yield "", _container(-1, len(span.source.text) + 1, (*version, *node.items))
        case tree.Body():
            yield "", _container(span.start, span.end, node.lines)
        case tree.List():
            yield "", _container(span.start, span.end, node.entries)
        case tree.Then():
            # A comment within the first stage or behind the last has no place before an arrow: it goes further up.
            yield "", _container(node.stages[0].span.end, node.stages[-1].span.end, node.stages)
        case tree.Stage(args=args, body=body) if args is not None:
            yield "", _container(node.path.span.end, body.span.start if body else span.end, args)
        case tree.Block(params=params) | tree.Function(params=params) if params is not None:
            yield "params", _container(node.name.span.end, _closed(params or (node.name,)), params)
        case tree.Signature(inputs=inputs, outputs=outputs):
            if inputs[0].name is not None:
                yield "inputs", _container(span.start, _closed(inputs), inputs)
            if outputs and outputs[0].name is not None:
                yield "outputs", _container(_closed(inputs), span.end, outputs)


def _container(start: int, end: int, nodes: Sequence[tree.Node]) -> Container:
    return Container(start, end, tuple(node.span for node in nodes))


def _closed(nodes: Sequence[tree.Node]) -> int:
    """Behind the parenthesis that closes a list of these, or behind the last where none does."""
    span = nodes[-1].span
    match = _CLOSING.match(span.source.text, span.end)
    return match.end() if match else span.end


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
    if shares and after and _follows(container.elements[after - 1], comment):
        remarks.behind[after - 1] = comment
    elif shares and not after and container.start >= 0 and remarks.opening is None:
        remarks.opening = comment
    elif after < len(container.elements):
        remarks.above.setdefault(after, []).append(comment)
    else:
        remarks.last.append(comment)


def _follows(element: Span, comment: Span) -> bool:
    """Whether nothing but closing parentheses and a comma stands between an element and a comment."""
    return not comment.source.text[element.end : comment.start].strip("), \t\r\n")
