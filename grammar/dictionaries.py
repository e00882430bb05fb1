"""`config = {hidden = 64, depth = 4}`, as Python and YAML have it: read as a constant for each field."""

from __future__ import annotations

import re

from .diagnostics import Diagnostic, Fix
from .layout import CLOSERS, OPENERS
from .source import Source, Span
from .tokens import NEWLINE, VALUES, Token

_MAYBE = re.compile(r"=[ \t]*(?:\{|dict\()")
_FIELD = re.compile(r'"?([A-Za-z_]\w*)"?')
# More of them make no message clearer.
_SHOWN = 4


def in_constants(source: Source, words: list[Token]) -> tuple[list[Token], list[Diagnostic], list[Span]]:
    """The tokens with constants of the file in place of dictionaries, what is said of these, and where they stand."""
    findings: list[Diagnostic] = []
    places: list[Span] = []
    if _MAYBE.search(source.text) is None:
        return words, findings, places
    out: list[Token] = []
    i = depth = 0
    while i < len(words):
        opener = _opener(words, i) if depth == 0 else None
        found = None if opener is None else _fields(words, opener)
        if found is None:
            depth += (words[i].kind in OPENERS) - (words[i].kind in CLOSERS)
            out.append(words[i])
            i += 1
            continue
        name = words[i]
        fields, after = found
        for field, value in fields:
            end = value[-1].end
            out += [field, Token("=", "=", field.end, field.end), *value, Token(NEWLINE, "", end, end)]
        out.pop()
        places.append(source.span(name.start, words[after - 1].end))
        findings.append(_told(source, name, fields, source.span(words[i + 2].start, words[after - 1].end)))
        i = after
    return out, findings, places


def _opener(words: list[Token], i: int) -> int | None:
    """The bracket behind a line's `name =`, or behind its `name = dict`."""
    if words[i].kind != "NAME" or (i and words[i - 1].kind != NEWLINE) or i + 3 >= len(words):
        return None
    if words[i + 1].kind != "=":
        return None
    if words[i + 2].kind == "{":
        return i + 2
    return i + 3 if words[i + 2].text == "dict" and words[i + 3].kind == "(" else None


def _fields(words: list[Token], opener: int) -> tuple[list[tuple[Token, list[Token]]], int] | None:
    """The names and values in the brackets and where the text goes on, or None where it is no dictionary."""
    lines: list[list[Token]] = [[]]
    depth = 0
    for i in range(opener + 1, len(words)):
        token = words[i]
        if depth == 0 and token.kind in CLOSERS:
            fields = [_field(line) for line in lines if line]
            known = [field for field in fields if field is not None]
            return (known, i + 1) if known and len(known) == len(fields) else None
        depth += (token.kind in OPENERS) - (token.kind in CLOSERS)
        if depth == 0 and token.kind in (",", NEWLINE):
            lines.append([])
        elif token.kind != NEWLINE:
            lines[-1].append(token)
    return None


def _field(line: list[Token]) -> tuple[Token, list[Token]] | None:
    """`hidden = 64`, `"hidden": 64`: its name and its value. `fc: Linear(4)` is a label."""
    if len(line) < 3 or line[1].kind not in ("=", ":") or any(token.kind in ("{", "->") for token in line):
        return None
    name, value = _FIELD.fullmatch(line[0].text), line[2:]
    if name is None or line[0].kind not in ("NAME", "STRING"):
        return None
    if line[0].kind == "NAME" and line[1].kind == ":" and value[0].kind not in VALUES | {"[", "-"}:
        return None
    return Token("NAME", name[1], line[0].start, line[0].end), value


def _told(source: Source, name: Token, fields: list[tuple[Token, list[Token]]], place: Span) -> Diagnostic:
    lines = [f"{field.text} = {source.text[value[0].start : value[-1].end]}" for field, value in fields]
    first = fields[0][0].text
    shown = ", ".join(f"`{line}`" for line in lines[:_SHOWN]) + (", ..." if len(lines) > _SHOWN else "")
    apart = "on lines of their own" if len(lines) > 1 else "in its place"
    return Diagnostic(
        "foreign-dictionary",
        f"a constant has one value and no fields, so there is no `{name.text}.{first}`",
        place,
        "fields",
        help=f"write {shown} {apart}, and `{first}` for `{name.text}.{first}`",
        fixes=(Fix(source.span(name.start, place.end), "\n".join(lines)),),
    )
