"""The tokens that are no text: what fills up a line, and what its reader starts and ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .tokenizer import Tokenizer

# ASCII's own: NUL, start of text, end of text. No text holds them.
FILL, START, END = "\0", "\2", "\3"


@dataclass(frozen=True)
class Marks:
    """Token numbers. `start` is what a decoder reads before it has said anything, `end` what it says in the end."""

    fill: int
    start: int
    end: int


def marks_of(tokenizer: Tokenizer) -> Marks | None:
    """The marks of a vocabulary, or None where it has no end, or token 0 is text that fills up nothing."""
    fill, start, end = tokenizer.mark(FILL), tokenizer.mark(START), tokenizer.mark(END)
    if fill != 0 or end is None:
        return None
    return Marks(fill, fill if start is None else start, end)  # T5 starts with what fills


def line_of(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of tokens up to the one that ends them, without marks. Tokens beyond the vocabulary, which a head that
    is rounded up may give, are left out."""
    marks = marks_of(tokenizer)
    known = [token for token in ids if token < tokenizer.vocabulary]
    if marks is None:
        return tokenizer.decode(known)
    known = known[: known.index(marks.end)] if marks.end in known else known
    return tokenizer.decode([token for token in known if token not in (marks.fill, marks.start)])
