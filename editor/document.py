"""An open document: its text, what is read of it at once, and what the compiler has found out about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..compiler.pipeline import Analysis
from ..compiler.python_layers.signature import Signature, read_signatures
from ..grammar import Source, tree
from ..grammar.lexer import tokens
from ..grammar.tokens import Token
from .edits import between
from .imports import Files
from .index import Index, Symbol
from .names import read_names
from .positions import Encoding, Lines
from .relines import bodies_at, stretch
from .reparse import Reading, pieces, read, reparse
from .shapes import Fact, Facts


@dataclass(frozen=True, eq=False)
class Document:
    """One version of a text. It is parsed and indexed when first asked; the analysis takes longer and comes later."""

    uri: str
    version: int | None
    source: Source
    encoding: Encoding
    files: Files
    before: Reading | None = None
    """An earlier version as it was read, which makes reading this one quicker."""

    @property
    def text(self) -> str:
        return self.source.text

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.text, self.encoding)

    @cached_property
    def reading(self) -> Reading:
        return read(self.source) if self.before is None else reparse(self.before, self.source)

    @property
    def file(self) -> tree.File:
        return self.reading.file

    @property
    def known(self) -> Reading | None:
        """The newest version that was read so far; while a line is being typed, the last that was sound."""
        found: Reading | None = vars(self).get("reading")
        before = self.before
        return before if found is None or (before is not None and before.sound > found.sound) else found

    @cached_property
    def index(self) -> Index:
        return read_names(self.file, self.outside)

    @cached_property
    def outside(self) -> Mapping[str, Symbol]:
        """The names that its imports bring."""
        return self.files.outside(self.file)

    @cached_property
    def python(self) -> Mapping[str, Signature]:
        """The layers written in Python that its imports bring."""
        found: dict[str, Signature] = {}
        for source in self.files.python(self.file):
            found |= read_signatures(source)[0]
        return found

    def tokens(self, offset: int) -> list[Token]:
        """The words around an offset: of its item, but for the lines of bodies that are neither around nor beside it.

        Reading all words takes longer.
        """
        start, end = next(piece for piece in reversed(pieces(self.text)) if piece[0] <= offset)
        found: list[Token] = []
        for body in bodies_at(self.file, offset):
            around = stretch(body, offset)
            if around is None or body.span.start < start or around[1] > end:
                continue
            found += self._tokens(start, body.span.start + 1)
            start, end = around
        return found + self._tokens(start, end)

    def _tokens(self, start: int, end: int) -> list[Token]:
        found, _ = tokens(Source(self.source.name, self.text[start:end]))
        return [token._replace(start=token.start + start, end=token.end + start) for token in found]


@dataclass(frozen=True, eq=False)
class Analysed:
    """The analysis of a document that may have been edited since."""

    document: Document
    analysis: Analysis

    @cached_property
    def facts(self) -> Facts:
        return Facts(self.analysis)

    def facts_for(self, now: Document) -> Callable[[tree.Node], Fact | None]:
        """What was known of a flow of the document as it is now. What was edited since is not known."""
        was = self._place(now)
        return lambda flow: self.facts.of(flow, was)

    def weights(self, node: tree.Node, now: Document) -> tuple[str, ...]:
        """The keys of the weights that the layer at a node makes, `weight` and `bias`."""
        return self.facts.weights(node, self._place(now))

    def _place(self, now: Document) -> Callable[[int, int], tuple[int, int] | None]:
        """Where a place of the document as it is now was when it was analysed; None for what was edited since."""
        edit = between(self.document.text, now.text)

        def place(start: int, end: int) -> tuple[int, int] | None:
            if end < edit.start or not (edit.end > edit.start or edit.by):
                return start, end
            return (start - edit.by, end - edit.by) if start > edit.end + edit.by else None

        return place
