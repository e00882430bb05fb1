"""Breaks long lines of emitted Python the way ruff's formatter does, so that the file is clean under its defaults.

Only what the emitter writes is handled. A statement that is too long is split at its operators, in parentheses, or at
its last outermost bracket (that of a `def` at its first): first with all that stands inside on one line, then with an
item a line and a trailing comma. A chain of calls, `x.f(1).g(2).h(3)`, goes into parentheses whole, else a call a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

WIDTH = 88
_OPEN, _CLOSE = "([{", ")]}"
_HEAD = re.compile(r"(return |[\w.]+(, [\w.]+)* = )")
_LOOSEST_FIRST = tuple(re.compile(rf" ({signs}) ") for signs in ("[=!]=|[<>]=?", "[+-]", "[*/%]|//"))


def fit(line: str) -> list[str]:
    """The statement as lines of at most 88 columns where that can be done; comments and strings are left alone."""
    if len(line) <= WIDTH or line.lstrip().startswith(("#", '"""')):
        return [line]
    code, comment = _without_comment(line)
    indent = line[: len(line) - len(line.lstrip())]
    if comment:
        # The comment goes where a hand would put it: above a statement that has no room for it.
        return [f"{indent}# {comment}", *fit(code)]
    head = _HEAD.match(line.lstrip())
    if head is None:
        return _at_bracket(line, first=line.lstrip().startswith("def "))
    start = len(indent) + head.end()
    operands = _operands(line[start:])
    if len(operands) == 1 and not _chain(line[start:]):
        return _at_bracket(line)
    if len(operands) == 2 and (operands[0].startswith("(") or operands[1].endswith(tuple(_CLOSE))):
        # One operator: the last bracket is opened where all in front of it has room, else the first.
        last = operands[1].endswith(tuple(_CLOSE)) and _room_for_head(line, first=False)
        if last or _room_for_head(line, first=True):
            return _at_bracket(line, first=not last)
    return [f"{line[:start]}(", *_at_operators(f"{indent}    ", line[start:], ""), f"{indent})"]


def _room_for_head(line: str, *, first: bool) -> bool:
    """Whether all up to a bracket that is opened stays on one line."""
    brackets = _bracket(line, first=first)
    return brackets is not None and brackets[0] < WIDTH


def _at_bracket(line: str, *, first: bool = False) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    brackets = _bracket(line, first=first)
    if brackets is None:
        return [line]
    start, end = brackets
    head, inside, tail = line[: start + 1], line[start + 1 : end], line[end:]
    deeper = f"{indent}    "
    if len(deeper) + len(inside) <= WIDTH:
        return [head, f"{deeper}{inside}", f"{indent}{tail}"]
    items = _items(inside)
    comma = "," if len(items) > 1 else ""
    body = [part for item in items for part in _at_operators(deeper, item, comma)]
    return [head, *body, f"{indent}{tail}"]


def _at_operators(indent: str, text: str, tail: str) -> list[str]:
    """An expression inside brackets, an operand a line where it is too long for one."""
    if len(indent) + len(text) + len(tail) <= WIDTH:
        return [f"{indent}{text}{tail}"]
    operands = _operands(text)
    if len(operands) == 1:
        operands = _chain(text)
    if not operands:
        return _at_bracket(f"{indent}{text}{tail}")
    lines: list[str] = []
    for operand in operands:
        lines += _at_operators(indent, operand, tail if operand is operands[-1] else "")
    return lines


def _chain(text: str) -> list[str]:
    """The links of a chain of calls, each but the first with its dot; none where only one follows a bracket."""
    cuts = [at for at in _outside_brackets(text) if text[at] == "." and text[at - 1] in _CLOSE]
    edges = [0, *cuts, len(text)]
    return [text[a:b] for a, b in pairwise(edges)] if len(cuts) > 1 else []


def _operands(text: str) -> list[str]:
    """What the loosest operators outside brackets part, each but the first with its operator: `a`, `+ b * c`."""
    for signs in _LOOSEST_FIRST:
        cuts = [at for at in _outside_brackets(text) if text[at] == " " and signs.match(text, at)]
        if cuts:
            edges = [0, *cuts, len(text)]
            return [text[a:b].strip() for a, b in pairwise(edges)]
    return [text]


def _outside_brackets(text: str) -> Iterator[int]:
    """The places in a text that lie in no brackets and no string."""
    depth, quote = 0, None
    for i, char in enumerate(text):
        if quote:
            quote = None if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif depth == 0:
            yield i


def _without_comment(line: str) -> tuple[str, str]:
    quote = None
    for i, char in enumerate(line):
        if quote:
            quote = None if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:i].rstrip(), line[i + 1 :].strip()
    return line, ""


def _bracket(line: str, *, first: bool = False) -> tuple[int, int] | None:
    """The last (or first) outermost pair of brackets with something inside."""
    depth, start, quote, found = 0, 0, None, None
    for i, char in enumerate(line):
        if quote:
            quote = None if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _OPEN:
            start = i if depth == 0 else start
            depth += 1
        elif char in _CLOSE:
            depth -= 1
            if depth == 0 and i > start + 1:
                found = start, i
                if first:
                    break
    return found


def _items(text: str) -> list[str]:
    """What commas part at the outermost level."""
    edges = [-1, *(at for at in _outside_brackets(text) if text[at] == ","), len(text)]
    items = [text[a + 1 : b].strip() for a, b in pairwise(edges)]
    return items if items[-1] else items[:-1]
