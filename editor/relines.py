"""The tree of an edited body from its tree before: only the lines around the edit are read again.

One body may be a whole file, and reading 500 lines of three layers takes 50 ms. A line of a body is read alike whatever
the other lines say, so those that the edit has left alone only move. So do the stages of a flow that goes on over many
lines of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from ..grammar import Diagnostic, Source, parse, tree
from .edits import Edit
from .moving import moved

# What may stand between two lines of a body: an opening bracket there would belong to the second one.
_GAP = re.compile(r"(?:[\s)]|#[^\n]*)*")
# And between two stages of a flow, where the second one begins a line of the text.
_ARROW = re.compile(r"(?:[\s)]|#[^\n]*)*\n[ \t]*->[ \t(]*")
_HEAD, _TAIL = "dlspec 1\nblock A {", "}"
_DEPTH = 50
"""How many nodes, one in the other, are looked into: each costs a step of recursion."""


def reread(before: tree.File, source: Source, edit: Edit) -> tuple[tree.File, bool] | None:
    """The tree of `source`, and whether that is how all of it would be read; None where the edit is in no body.

    `before` was read without a fault from the text before the edit.
    """
    chain = _chain(before, edit.start, edit.end)
    found = None
    while chain and found is None:
        match chain[-1]:
            case tree.Body() as body:
                found = _body(body, source, edit)
                break
            case tree.Then() as flow:
                found = _flow(flow, source, edit)
        if found is None:
            chain.pop()
    if found is None:
        return None
    parts, faults = found
    return _replaced(before, chain[1:], source, edit, parts), not any(fault.severity == "error" for fault in faults)


_Parts = tuple[tuple[tree.Node, ...], list[Diagnostic]]


def _body(body: tree.Body, source: Source, edit: Edit) -> _Parts | None:
    """The lines of a body after an edit, and what is wrong with those that were read again."""
    first, last = _near(body.lines, edit.start, edit.end)
    around = _text_of_lines(body, first, last)
    if around is None:
        return None
    read = _read(_HEAD, source, edit, *around)
    if read is None:
        return None
    new, faults = read
    return _joined(body.lines[:first], new.lines, body.lines[last:], source, edit, around[0] - len(_HEAD)), faults


def _flow(flow: tree.Then, source: Source, edit: Edit) -> _Parts | None:
    """The stages of a flow after an edit in its midst. The first and last ones hang on what stands around the flow."""
    text, stages = flow.span.source.text, flow.stages
    first, last = _near(stages, edit.start, edit.end)
    places = range(1, len(stages))
    begun = [i for i in places if _ARROW.fullmatch(text, stages[i - 1].span.end, stages[i].span.start)]
    above, below = bisect_right(begun, first) - 1, bisect_left(begun, last)
    if above < 0 or below == len(begun):
        return None
    first, last = begun[above], begun[below]
    start, end = (text.rfind("\n", 0, stages[i].span.start) + 1 for i in (first, last))
    head = f"{_HEAD}x\n"
    match _read(head, source, edit, start, end):
        case tree.Body(lines=(tree.Then(stages=(_, *new)),)), faults:
            return _joined(stages[:first], new, stages[last:], source, edit, start - len(head)), faults
        case _:
            return None


def _near(parts: Sequence[tree.Node], start: int, end: int) -> tuple[int, int]:
    """The parts of a body or flow that an edit may change, from the first to behind the last.

    A line may go on where the next begins with an arrow, so the neighbours of what it touches are among them.
    """
    first = bisect_left(parts, start, key=lambda part: part.span.end) - 1
    last = bisect_right(parts, end, key=lambda part: part.span.start) + 1
    return max(first, 0), min(last, len(parts))


def _read(head: str, source: Source, edit: Edit, start: int, end: int) -> tuple[tree.Body, list[Diagnostic]] | None:
    """A stretch of the text before the edit, as it is now, read as the end of a body; None where it closes the body."""
    read, faults = parse(Source(source.name, f"{head}{source.text[start : end + edit.by]}{_TAIL}"))
    match read.items:
        case (tree.Block(body=body),) if body.span.end == read.span.end:
            return body, faults
        case _:
            return None


def _joined(
    above: Sequence[tree.Node],
    new: Sequence[tree.Node],
    below: Sequence[tree.Node],
    source: Source,
    edit: Edit,
    by: int,
) -> tuple[tree.Node, ...]:
    return (
        *(moved(part, source, 0) for part in above),
        *(moved(part, source, by) for part in new),
        *(moved(part, source, edit.by) for part in below),
    )


def stretch(body: tree.Body, offset: int) -> tuple[int, int] | None:
    """The text of the lines of a body that an offset may belong to; None where it is not sure how far it goes."""
    return _text_of_lines(body, *_near(body.lines, offset, offset))


def _text_of_lines(body: tree.Body, first: int, last: int) -> tuple[int, int] | None:
    """The text of some lines of a body; None where brackets or lines side by side leave open how far it goes."""
    lines = body.lines
    start = body.span.start + 1 if first == 0 else _cut(lines[first - 1], lines[first])
    end = body.span.end - 1 if last == len(lines) else _cut(lines[last - 1], lines[last])
    return None if start is None or end is None else (start, end)


def _cut(above: tree.Node, below: tree.Node) -> int | None:
    """Where the line of the text begins that the second of two lines of a body begins in; None if that is not sure."""
    text = above.span.source.text
    start = text.rfind("\n", 0, below.span.start) + 1
    return start if start > above.span.end and _GAP.fullmatch(text, above.span.end, start) else None


def bodies_at(file: tree.File, offset: int) -> list[tree.Body]:
    """The bodies of blocks and models that an offset lies in, from the outside in."""
    return [node for node in _chain(file, offset, offset) if isinstance(node, tree.Body)]


def _chain(file: tree.File, start: int, end: int) -> list[tree.Node]:
    """The nodes from a file to the innermost body of its blocks and models that a stretch of the text lies in, between
    the braces, or to a flow as a line of that body; none where it lies in no body."""
    chain: list[tree.Node] = [file]
    found = 0
    while len(chain) < _DEPTH:
        around = (node for node in tree.children(chain[-1]) if node.span.start < start and end < node.span.end)
        inner = next(around, None)
        if inner is None or isinstance(inner, tree.Train | tree.Export):
            break
        a_line = isinstance(inner, tree.Then) and isinstance(chain[-1], tree.Body | tree.Named | tree.Binding)
        chain.append(inner)
        if a_line or isinstance(inner, tree.Body):
            found = len(chain)
    return chain[:found]


def _replaced(
    node: tree.Node, chain: Sequence[tree.Node], source: Source, edit: Edit, parts: tuple[tree.Node, ...]
) -> tree.File:
    """A copy of a node in which the last of a chain of nodes, one in the other, has other lines or stages."""
    copy = object.__new__(type(node))
    fields = copy.__dict__

    def placed(value: object) -> object:
        if not isinstance(value, tree.Node):
            return value
        if chain and value is chain[0]:
            return _replaced(value, chain[1:], source, edit, parts)
        return moved(value, source, edit.by if value.span.start >= edit.end else 0)

    for name, value in vars(node).items():
        if name == "span":
            fields[name] = source.span(value.start, value.end + edit.by)
        elif not chain and name in ("lines", "stages"):
            fields[name] = parts
        else:
            fields[name] = tuple(map(placed, value)) if type(value) is tuple else placed(value)
    return copy  # type: ignore[return-value]
