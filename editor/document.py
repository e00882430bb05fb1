"""An open document: its text, what is read of it at once, and what the compiler has found out about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..compiler.pipeline import Analysis
from ..compiler.python_layers.signature import Signature, read_signatures
from ..grammar import Source, parse, tree
from ..grammar.lexer import tokens
from ..grammar.tokens import Token
from .imports import Files
from .index import Index, Symbol
from .names import read_names
from .positions import Encoding, Lines
from .reparse import pieces, reparse
from .shapes import Fact, Facts


@dataclass(frozen=True, eq=False)
class Document:
    """One version of a text. It is parsed and indexed when first asked; the analysis takes longer and comes later."""

    uri: str
    version: int | None
    source: Source
    encoding: Encoding
    files: Files
    before: tree.File | None = None
    """The tree of an earlier version, which makes reading this one quicker."""

    @property
    def text(self) -> str:
        return self.source.text

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.text, self.encoding)

    @cached_property
    def file(self) -> tree.File:
        return parse(self.source)[0] if self.before is None else reparse(self.before, self.source)

    @property
    def known(self) -> tree.File | None:
        """The newest tree that was read so far."""
        return vars(self).get("file", self.before)

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
        """The words of the item around an offset, and of what follows it up to the next: reading all takes longer."""
        start, end = next(piece for piece in reversed(pieces(self.text)) if piece[0] <= offset)
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
        before, after = self.document.text, now.text
        if before == after:
            return lambda start, end: (start, end)
        head = _shared(before, after)
        tail = min(_shared(before[::-1], after[::-1]), min(len(before), len(after)) - head)
        moved = len(after) - len(before)

        def place(start: int, end: int) -> tuple[int, int] | None:
            if end < head:
                return start, end
            return (start - moved, end - moved) if start > len(after) - tail else None

        return place


def _shared(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
