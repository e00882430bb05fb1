"""Where in the language a text is being typed, from the words before the cursor alone: the line need not be whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..grammar.layout import CLOSERS, OPENERS
from ..grammar.tokens import NEWLINE, Token
from .document import Document

Section = Literal["file", "body", "train", "export"]

_WORD = re.compile(r"\w*\Z")
_OF_BODY = frozenset({"block", "model"})


@dataclass(frozen=True)
class Bracket:
    """A bracket that is open at the cursor. `head` are the words of its line that stand before it."""

    kind: str
    at: int
    head: tuple[Token, ...]

    @property
    def called(self) -> str | None:
        """The name right before it, `Linear` of `Linear(`, or None where none stands there."""
        path = _path(self.head)
        return ".".join(token.text for token in path if token.kind != ".") if path else None

    @property
    def option(self) -> str | None:
        """The name that it is given to, `betas` of `betas = [`, or None."""
        return _given_to(self.head)


@dataclass(frozen=True)
class Spot:
    """The cursor: the word that is being typed begins at `start`. `tail` are the words before it since the last
    comma or line, in the innermost of the open `brackets`."""

    start: int
    brackets: tuple[Bracket, ...]
    tail: tuple[Token, ...]
    position: int
    """How many commas stand before the cursor in the innermost bracket."""
    words: tuple[Token, ...]
    """All of the item, behind the cursor too."""

    @property
    def line(self) -> tuple[Token, ...]:
        """The words of the item or line before the cursor, outside of the brackets in it."""
        braces = [place for place, bracket in enumerate(self.brackets) if bracket.kind == "{"]
        rest = self.brackets[braces[-1] + 1 if braces else 0 :]
        return rest[0].head if rest else self.tail

    @property
    def head(self) -> str:
        """The first word of the item or line that the cursor is in: `block` in its signature, `default`."""
        return self.line[0].kind if self.line else ""

    @property
    def section(self) -> Section:
        first = next((b for b in self.brackets if b.kind == "{"), None)
        word = first.head[0].kind if first is not None and first.head else ""
        return "body" if word in _OF_BODY else word if word in ("train", "export") else "file"  # type: ignore[return-value]

    @property
    def inner(self) -> Bracket | None:
        return self.brackets[-1] if self.brackets else None

    @property
    def call(self) -> Bracket | None:
        """The call in whose parentheses the cursor stands, also inside a list there."""
        for bracket in reversed(self.brackets):
            if bracket.kind == "(" and bracket.called is not None:
                return bracket
            if bracket.kind == "{":
                return None
        return None

    @property
    def option(self) -> str | None:
        """The option of the call, or the setting, whose value is being typed."""
        found = _given_to(self.tail)
        if found is not None or self.inner is None or self.inner.kind == "{":
            return found
        return self.inner.option if self.inner.kind == "[" or self.inner.called is None else None

    @property
    def key(self) -> str | None:
        """The name that the line gives a value: the key of a `train` section, a constant."""
        return _given_to(self.line)

    @property
    def dotted(self) -> tuple[str, ...] | None:
        """The path before a dot, `("blocks", "0")` of `blocks.0.`, or None."""
        if not self.tail or self.tail[-1].kind != ".":
            return None
        path = _path(self.tail[:-1])
        return tuple(part for token in path if token.kind != "." for part in token.text.split("."))


def spot_at(document: Document, offset: int) -> Spot | None:
    """Where the cursor stands; None in a comment or a text."""
    text = document.text
    word = _WORD.search(text[:offset].rpartition("\n")[2])
    start = offset - (len(word.group()) if word is not None else 0)
    if _is_aside(document, offset):
        return None
    open_: list[_Open] = [_Open(None)]
    words = document.tokens(offset)
    for token in words:
        if token.start >= start:
            break
        kind, inner = token.kind, open_[-1]
        if kind in OPENERS:
            bracket = Bracket(kind, token.start, tuple(inner.tail))
            inner.tail.append(token)
            open_.append(_Open(bracket))
        elif kind in CLOSERS:
            _close(open_, token)
        elif kind == NEWLINE:
            if inner.holds_lines:
                inner.tail.clear()
        elif kind == "," and not inner.holds_lines:
            inner.tail.clear()
            inner.commas += 1
        else:
            inner.tail.append(token)
    brackets = tuple(one.bracket for one in open_ if one.bracket is not None)
    return Spot(start, brackets, tuple(open_[-1].tail), open_[-1].commas, tuple(words))


@dataclass
class _Open:
    """A bracket that was not closed so far (None for the file), and the words in it since the last comma or line."""

    bracket: Bracket | None
    tail: list[Token] = field(default_factory=list)
    commas: int = 0

    @property
    def holds_lines(self) -> bool:
        return self.bracket is None or self.bracket.kind == "{"


def _close(open_: list[_Open], token: Token) -> None:
    """A brace closes all brackets that were forgotten in it; another closer only its own."""
    while token.kind == "}" and not open_[-1].holds_lines:
        open_.pop()
    bracket = open_[-1].bracket
    if bracket is not None and bracket.kind == CLOSERS[token.kind]:
        open_.pop()
        open_[-1].tail.append(token)


def _is_aside(document: Document, offset: int) -> bool:
    """Whether an offset lies in a comment or between quotes."""
    line = document.text.rfind("\n", 0, offset) + 1
    row = document.text[line:offset]
    quoted = False
    for char in row:
        if char == '"':
            quoted = not quoted
        elif char == "#" and not quoted:
            return True
    return quoted


def _path(tokens: Sequence[Token]) -> list[Token]:
    """The path that some words end in: names, numbers and dots."""
    found: list[Token] = []
    for token in reversed(tokens):
        dot = token.kind == "."
        if token.kind not in (".", "NAME", "TYPE", "NUMBER") or (found and (found[-1].kind == ".") == dot):
            break
        found.append(token)
    found.reverse()
    return found if found and found[0].kind in ("NAME", "TYPE") else []


def _given_to(tokens: Sequence[Token]) -> str | None:
    """The name that some words begin to give a value: `lr` of `lr =`."""
    return tokens[0].text if len(tokens) > 1 and tokens[0].kind == "NAME" and tokens[1].kind == "=" else None
