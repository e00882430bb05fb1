"""The tree of an edited body from its tree before: only the lines around the edit are read again.

One body may be a whole file, and reading 500 lines of three layers takes 50 ms. A line of a body is read alike whatever
the other lines say, so those that the edit has left alone only move.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

from ..grammar import Source, parse, tree
from .edits import Edit
from .moving import moved

# What may stand between two lines of a body: an opening bracket there would belong to the second one.
_GAP = re.compile(r"(?:[\s)]|#[^\n]*)*")
_HEAD, _TAIL = "dlspec 1\nblock A {", "}"
_DEPTH = 50
"""How many nodes, one in the other, are looked into: each costs a step of recursion."""


def reread(before: tree.File, source: Source, edit: Edit) -> tuple[tree.File, bool] | None:
    """The tree of `source`, and whether that is how all of it would be read; None where the edit is in no body.

    `before` was read without a fault from the text before the edit.
    """
    chain = _chain(before, edit.start, edit.end)
    if not chain:
        return None
    body = chain[-1]
    assert isinstance(body, tree.Body)
    around = stretch(body, edit.start, edit.end)
    if around is None:
        return None
    first, last, start, end = around
    lines = body.lines
    read, faults = parse(Source(source.name, f"{_HEAD}{source.text[start : end + edit.by]}{_TAIL}"))
    match read.items:
        case (tree.Block(body=new),) if new.span.end == read.span.end:
            pass
        case _:
            return None
    by = start - len(_HEAD)
    now = (
        *(moved(line, source, 0) for line in lines[:first]),
        *(moved(line, source, by) for line in new.lines),
        *(moved(line, source, edit.by) for line in lines[last:]),
    )
    return _replaced(before, chain[1:], source, edit, now), not any(fault.severity == "error" for fault in faults)


def stretch(body: tree.Body, start: int, end: int) -> tuple[int, int, int, int] | None:
    """The lines of a body that an offset or more may belong to, from the first to behind the last, and their text.

    A line may go on where the next begins with an arrow, so the neighbours are among them. None where brackets or
    several lines of the body in one of the text leave it open what belongs to them.
    """
    text, lines = body.span.source.text, body.lines
    first = max(bisect_left(lines, start, key=lambda line: line.span.end) - 1, 0)
    last = min(bisect_right(lines, end, key=lambda line: line.span.start) + 1, len(lines))
    begin = body.span.start + 1 if first == 0 else _cut(text, lines[first - 1], lines[first])
    stop = body.span.end - 1 if last == len(lines) else _cut(text, lines[last - 1], lines[last])
    return None if begin is None or stop is None else (first, last, begin, stop)


def _chain(file: tree.File, start: int, end: int) -> list[tree.Node]:
    """The nodes from a file to the innermost body of its blocks and models that a stretch of the text lies in, between
    the braces; none where it lies in no body."""
    chain: list[tree.Node] = [file]
    found = 0
    while len(chain) < _DEPTH:
        around = (node for node in tree.children(chain[-1]) if node.span.start < start and end < node.span.end)
        inner = next(around, None)
        if inner is None or isinstance(inner, tree.Train | tree.Export):
            break
        chain.append(inner)
        if isinstance(inner, tree.Body):
            found = len(chain)
    return chain[:found]


def bodies_at(file: tree.File, offset: int) -> list[tree.Body]:
    """The bodies of blocks and models that an offset lies in, from the outside in."""
    return [node for node in _chain(file, offset, offset) if isinstance(node, tree.Body)]


def _cut(text: str, above: tree.Node, below: tree.Node) -> int | None:
    """Where the text line begins in which the second of two lines of a body does; None where that is not sure."""
    start = text.rfind("\n", 0, below.span.start) + 1
    return start if start > above.span.end and _GAP.fullmatch(text, above.span.end, start) else None


def _replaced(
    node: tree.Node, chain: list[tree.Node], source: Source, edit: Edit, lines: tuple[tree.Node, ...]
) -> tree.File:
    """A copy of a node in which the last of a chain of nodes, one in the other, has other lines."""
    copy = object.__new__(type(node))
    fields = copy.__dict__

    def placed(value: object) -> object:
        if not isinstance(value, tree.Node):
            return value
        if chain and value is chain[0]:
            return _replaced(value, chain[1:], source, edit, lines)
        return moved(value, source, edit.by if value.span.start >= edit.end else 0)

    for name, value in vars(node).items():
        if name == "span":
            fields[name] = source.span(value.start, value.end + edit.by)
        elif not chain and name == "lines":
            fields[name] = lines
        else:
            fields[name] = tuple(map(placed, value)) if type(value) is tuple else placed(value)
    return copy  # type: ignore[return-value]
