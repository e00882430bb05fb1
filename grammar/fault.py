"""A token that cannot stand where it stands, with what surrounds it, and the small repairs that let reading go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .diagnostics import Diagnostic, Fix
from .layout import CLOSERS, OPENERS
from .source import Source, Span
from .tables import END, tables
from .tokens import Token

OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "^", "COMPARE"})
# The words that begin an item of a file, and what the item is called.
ITEMS = {"block": "a block", "model": "a model", "train": "a recipe", "export": "an export", "import": "an import"}


@dataclass(frozen=True)
class Repair:
    """Takes `back` tokens off the stack and `skip` tokens off the stream, and reads `tokens` in their place.

    `swap` changes one token further on.
    """

    back: int = 0
    skip: int = 0
    tokens: tuple[Token, ...] = ()
    swap: tuple[int, Token] | None = None


# A finding, or None where an earlier one has said it, and a repair, or None where the line is left out.
Outcome: TypeAlias = tuple[Diagnostic | None, Repair | None]
Rule: TypeAlias = "Callable[[Fault], Outcome | None]"


@dataclass(frozen=True)
class Fault:
    """The token at index `at` of a stream cannot stand there; its line begins at index `start`.

    `section` is the word with which its item begins. `tops` are the values on the stack since the line began: tokens
    that are in no node yet, None for nodes.
    `reads_on(repair, at, ahead)` tells whether the repaired line can be read for `ahead` tokens more.
    """

    source: Source
    stream: list[Token]
    at: int
    start: int
    in_body: bool
    section: str
    tops: list[Token | None]
    reads_on: Callable[[Repair, int, int], bool]

    @property
    def token(self) -> Token:
        return self.stream[self.at]

    @property
    def before(self) -> Token:
        return self.raw(1) or self.stream[self.at - 1]

    @property
    def after(self) -> Token:
        return self.stream[min(self.at + 1, len(self.stream) - 1)]

    @property
    def head(self) -> Token:
        """The first token of the line."""
        return self.stream[self.start]

    @property
    def place(self) -> int:
        """How many tokens of the line come before: 0 where the token begins it."""
        return self.at - self.start

    @property
    def bracket(self) -> str | None:
        """The innermost bracket that the line has open."""
        closed = 0
        for top in reversed(self.tops):
            kind = "" if top is None else top.kind
            closed += kind in CLOSERS
            if kind in OPENERS:
                if not closed:
                    return kind
                closed -= 1
        return None

    def raw(self, back: int) -> Token | None:
        """The token `back` places down the stack, if it is in no node yet."""
        return self.tops[-back] if back <= len(self.tops) else None

    def fits(self, repair: Repair, ahead: int = 3) -> bool:
        if any(self.raw(back + 1) is None for back in range(repair.back)):
            return False
        return self.reads_on(repair, self.at, ahead)

    def takes(self, kind: str) -> bool:
        """Whether a token of this kind could stand here."""
        return self.fits(Repair(tokens=(Token(kind, "", 0, 0),)), 0)

    def wanted(self) -> set[str]:
        """All kinds of tokens that could stand here."""
        t = tables()
        return {kind for kind in (*t.literals, *t.patterns, END) if self.takes(kind)}

    def instead(self, kind: str, back: int = 0) -> Repair:
        """The token, or the one `back` before it, read as another kind."""
        token = self.raw(back) if back else self.token
        assert token is not None
        text = "==" if kind == "COMPARE" else token.text
        return Repair(back, 0 if back else 1, (Token(kind, text, token.start, token.end),))

    def inserted(self, kind: str) -> Repair:
        place = self.before.end
        return Repair(tokens=(Token(kind, kind, place, place),))

    def closing(self, at: int | None = None) -> int | None:
        """The index of the bracket that closes the one at hand, or the one at an index."""
        depth = 0
        for i in range(self.at if at is None else at, len(self.stream)):
            depth += (self.stream[i].kind in OPENERS) - (self.stream[i].kind in CLOSERS)
            if depth == 0:
                return i
        return None

    def span(self, token: Token | None = None) -> Span:
        token = token or self.token
        return self.source.span(token.start, token.end)

    def gap(self) -> Span:
        """The place behind the token before."""
        return self.source.span(self.before.end, self.before.end)

    def surplus(self, token: Token, message: str, label: str) -> Diagnostic:
        """A token that is to be left out."""
        fix = Fix(self.span(token), "")
        return Diagnostic("extra-sign", message, self.span(token), label, help="leave it out", fixes=(fix,))
