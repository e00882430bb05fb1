"""Breaks long lines of emitted Python the way ruff's formatter does, so that the file is clean under its defaults.

Only what the emitter writes is handled: a statement that is too long is split at its last outermost bracket, first
with all that stands inside on one line, then with an item a line and a trailing comma.
"""

from __future__ import annotations

WIDTH = 88
_OPEN, _CLOSE = "([{", ")]}"


def fit(line: str) -> list[str]:
    """The statement as lines of at most 88 columns where that can be done; comments and strings are left alone."""
    if len(line) <= WIDTH or line.lstrip().startswith(("#", '"""')):
        return [line]
    code, comment = _without_comment(line)
    if comment:
        # The comment goes where a hand would put it: above a statement that has no room for it.
        indent = line[: len(line) - len(line.lstrip())]
        return [f"{indent}# {comment}", *fit(code)]
    brackets = _last_bracket(line)
    if brackets is None:
        return [line]
    start, end = brackets
    indent = line[: len(line) - len(line.lstrip())]
    head, inside, tail = line[: start + 1], line[start + 1 : end], line[end:]
    deeper = f"{indent}    "
    if len(deeper) + len(inside) <= WIDTH:
        return [head, f"{deeper}{inside}", f"{indent}{tail}"]
    items = _items(inside)
    comma = "," if len(items) > 1 else ""
    body = [part for item in items for part in fit(f"{deeper}{item}{comma}")]
    return [head, *body, f"{indent}{tail}"]


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


def _last_bracket(line: str) -> tuple[int, int] | None:
    """The last outermost pair of brackets with something inside."""
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
    return found


def _items(text: str) -> list[str]:
    """What commas part at the outermost level."""
    items, depth, quote, begin = [], 0, None, 0
    for i, char in enumerate(text):
        if quote:
            quote = None if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and depth == 0:
            items.append(text[begin:i].strip())
            begin = i + 1
    last = text[begin:].strip()
    return [*items, last] if last else items
