"""Text to tokens. The patterns come from dlspec.lark, by way of tables.json."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from .tables import END, tables

NEWLINE = "_NL"
WRONG = "wrong"


class Token(NamedTuple):
    """`kind` is the text itself for a keyword or sign, else a pattern's name: NAME, TYPE, NUMBER, STRING, _NL, ..."""

    kind: str
    text: str
    start: int
    end: int


@cache
def _pattern() -> re.Pattern[str]:
    t = tables()
    signs = sorted((s for s in t.literals if not s[0].isalpha()), key=lambda s: (-len(s), s))
    groups = [f"(?P<{name}>{pattern})" for name, pattern in t.patterns.items()]
    groups.append(f"(?P<sign>{'|'.join(map(re.escape, signs))})")
    groups.append(f"(?P<ignored>{'|'.join(t.ignored)})")
    groups.append(f"(?P<{WRONG}>.)")
    return re.compile("|".join(groups), re.DOTALL)


@cache
def _keywords() -> frozenset[str]:
    return frozenset(word for word in tables().literals if word[0].isalpha())


def tokens(text: str) -> list[Token]:
    """All tokens of a text. What the language has no sign for becomes tokens of the kind `WRONG`."""
    keywords = _keywords()
    out: list[Token] = []
    start = 1 if text.startswith("\ufeff") else 0
    for match in _pattern().finditer(text, start):
        kind = match.lastgroup
        assert kind is not None
        if kind == "ignored":
            continue
        word = match.group()
        if kind == "sign" or (kind == "NAME" and word in keywords):
            kind = word
        out.append(Token(kind, word, match.start(), match.end()))
    return out


def statements(stream: list[Token]) -> list[Token]:
    """The tokens without the newlines that end nothing: inside ( ) and [ ], and before a line that begins with `->`.

    A newline and the end of the file close the list, so that the last statement ends like any other.
    """
    out: list[Token] = []
    brackets = ["{"]
    for token in stream:
        kind = token.kind
        if kind == NEWLINE:
            if brackets[-1] == "{":
                out.append(token)
            continue
        if kind in ("(", "[", "{"):
            brackets.append(kind)
        elif kind in (")", "]", "}"):
            if len(brackets) > 1:
                brackets.pop()
        elif kind == "->" and out and out[-1].kind == NEWLINE:
            out.pop()
        out.append(token)
    end = stream[-1].end if stream else 0
    if not out or out[-1].kind != NEWLINE:
        out.append(Token(NEWLINE, "", end, end))
    out.append(Token(END, "", end, end))
    return out
