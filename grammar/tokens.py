"""What the lexer hands on."""

from __future__ import annotations

from typing import NamedTuple

NEWLINE = "_NL"
WRONG = "wrong"
# What stands for itself: nothing flows through it.
VALUES = frozenset({"NUMBER", "PERCENT", "STRING", "true", "false", "none"})


class Token(NamedTuple):
    """`kind` is the text itself for a keyword or sign, else a pattern's name: NAME, TYPE, NUMBER, STRING, _NL, ...

    A token that nobody wrote (a closing bracket that is missing) has no text and no width.
    """

    kind: str
    text: str
    start: int
    end: int
