"""Breaks long lines of emitted Python the way ruff's formatter does, so that the file is clean under its defaults.

Only what the emitter writes is handled. A statement that is too long is split at its operators, in parentheses, or in
its outermost brackets, as late as possible (that of a `def` in its first): first with all that stands inside on one
line, then with an item a line and a trailing comma. A chain of calls, `x.f(1).g(2).h(3)`, goes into parentheses whole,
else a call a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

WIDTH = 88
_OPEN, _CLOSE = "([{", ")]}"
_HEAD = re.compile(r"(return |[\w.]+(, [\w.]+)* ([-+*/%&|^]|//)?= |(if|elif|while) (?=.*:$))")
_LOOSEST_FIRST = tuple(
    re.compile(rf" ({signs}) ")
    for signs in ("or", "and", "[=!]=|[<>]=?", r"\|", r"\^", "&", "<<|>>", "[+-]", "[*/%]|//")
)


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
        return _at_brackets(line, first=line.lstrip().startswith("def "))
    start = len(indent) + head.end()
    end = len(line) - (head[0] in ("if ", "elif ", "while "))
    expression = line[start:end]
    operands = _operands(expression)
    if len(operands) == 1 and not _chain(expression):
        return _at_brackets(line)
    # With one operator, brackets at an end may be opened in place of new ones, if they begin on the first line.
    bracketed = operands[0].startswith("(") or operands[-1].endswith(tuple(_CLOSE))
    if len(operands) == 2 and bracketed and _brackets(line)[0][0] < WIDTH:
        return _at_brackets(line)
    return [f"{line[:start]}(", *_at_operators(f"{indent}    ", expression, ""), f"{indent}){line[end:]}"]


def _at_brackets(line: str, *, first: bool = False) -> list[str]:
    """The line opened at its first bracket after which not all up to the next one has room on it."""
    indent = line[: len(line) - len(line.lstrip())]
    brackets = _brackets(line)
    for i, (start, end) in enumerate(brackets):
        needed = brackets[i + 1][0] + 1 if i + 1 < len(brackets) else len(line)
        if needed > WIDTH or first:
            return [line[: start + 1], *_inside(line, start, end), *_at_brackets(f"{indent}{line[end:]}")]
    return [line]


def _inside(line: str, start: int, end: int) -> list[str]:
    """What stands in a pair of brackets, deeper than the line: as one line, or an item a line."""
    deeper = " " * (len(line) - len(line.lstrip()) + 4)
    inside = line[start + 1 : end]
    if len(deeper) + len(inside) <= WIDTH:
        # The one parameter of a function stands on a line of its own as several would.
        alone = line.lstrip().startswith("def ") and len(_items(inside)) == 1
        return [f"{deeper}{inside}{',' if alone else ''}"]
    items = _items(inside)
    called = re.search(r"[\w)\]]\($", line[: start + 1]) is not None and " for " not in inside
    comma = "," if len(items) > 1 or called else ""
    return [part for item in items for part in _at_operators(deeper, item, comma)]


def _at_operators(indent: str, text: str, tail: str) -> list[str]:
    """An expression inside brackets, an operand a line where it is too long for one."""
    if len(indent) + len(text) + len(tail) <= WIDTH:
        return [f"{indent}{text}{tail}"]
    operands = _clauses(text) or _operands(text)
    if len(operands) == 1:
        operands = _chain(text)
    if not operands:
        return _at_brackets(f"{indent}{text}{tail}")
    lines: list[str] = []
    for operand in operands:
        lines += _at_operators(indent, operand, tail if operand is operands[-1] else "")
    return lines


def _clauses(text: str) -> list[str]:
    """The parts of a comprehension: what is made, and each `for` and `if`; none of what is no comprehension."""
    loops = [at for at in _outside_brackets(text) if text.startswith(" for ", at)]
    if not loops:
        return []
    conditions = [at for at in _outside_brackets(text) if at > loops[0] and text.startswith(" if ", at)]
    edges = [0, *sorted(loops + conditions), len(text)]
    return [text[a:b].strip() for a, b in pairwise(edges)]


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


def _brackets(line: str) -> list[tuple[int, int]]:
    """The outermost pairs of brackets with something inside."""
    depth, start, quote = 0, 0, None
    found: list[tuple[int, int]] = []
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
                found.append((start, i))
            depth = max(depth, 0)  # what is left of a line may begin with a closing one
    return found


def _items(text: str) -> list[str]:
    """What commas part at the outermost level."""
    edges = [-1, *(at for at in _outside_brackets(text) if text[at] == ","), len(text)]
    items = [text[a + 1 : b].strip() for a, b in pairwise(edges)]
    return items if items[-1] else items[:-1]
