"""Combinators: what the one table of them says."""

from __future__ import annotations

from collections.abc import Sequence

from dlspec.compiler.semantics.combinators import ENTRIES

from .markdown import LATER, entry, gives, table
from .samples import of_combinator


def entries(words: Sequence[str]) -> str:
    """The combinators that are named."""
    return "\n\n".join(map(_entry, words))


def _entry(word: str) -> str:
    page, found = ENTRIES[word], of_combinator(word)
    rows = [(f"`{name}`", text) for name, text in page.options.items()]
    return entry(
        word,
        "" if found.runs else LATER,
        f"`{page.signature}`",
        page.text,
        table(("option", "means"), rows) if rows else "",
        gives(page.example, found),
        level=2,
    )
