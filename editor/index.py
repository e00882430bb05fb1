"""Every name of a file: where it is given, where it is used, and from where it can be seen.

Names are found in the tree alone, so a file with faults has an index too: what can be read of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ..grammar import tree
from ..grammar.source import Span

Kind = Literal[
    "constant", "function", "block", "model", "recipe", "parameter", "dim", "input", "output", "value", "label",
    "index", "phase",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Symbol:
    """A name that a file gives: `span` is where it is written first, `node` the item, line, label or port that gives
    it."""

    kind: Kind
    name: str
    span: Span
    node: tree.Node


@dataclass(frozen=True)
class Mention:
    """A place where a symbol stands: where it is given, or used. A part of a word where the word is derived from the
    name: `attn` in `attn_norm`."""

    span: Span
    symbol: Symbol


@dataclass(eq=False)
class Scope:
    """The names of one body over those around it; `start` to `end` is the text in which they can be seen."""

    parent: Scope | None
    start: int
    end: int
    given: dict[str, list[tuple[int, Symbol]]] = field(default_factory=dict)

    def give(self, symbol: Symbol, since: int) -> None:
        """Enter a name that can be seen from the offset `since` on."""
        self.given.setdefault(symbol.name, []).append((since, symbol))

    def find(self, name: str, at: int, *, dotted: bool = False) -> Symbol | None:
        """What a name stands for at an offset. Where a label shares a value's name, the bare name is the value, and
        one that goes on with a dot the module. A name that is only given further down comes last."""
        later: Symbol | None = None
        scope: Scope | None = self
        while scope is not None:
            seen = [symbol for since, symbol in scope.given.get(name, ()) if since <= at]
            if seen:
                wanted = [symbol for symbol in seen if (symbol.kind == "label") == dotted]
                return (wanted or seen)[-1]
            if later is None and name in scope.given:
                later = scope.given[name][0][1]
            scope = scope.parent
        return later

    def visible(self, at: int) -> dict[str, Symbol]:
        """All names that can be seen at an offset; the nearest first."""
        found: dict[str, Symbol] = {}
        scope: Scope | None = self
        while scope is not None:
            for name, entries in scope.given.items():
                for since, symbol in entries:
                    if since <= at:
                        found.setdefault(name, symbol)
            scope = scope.parent
        return found


@dataclass(frozen=True, eq=False)
class Index:
    """`mentions` are in the order of the text, as are the `unknown` words, which nothing in the file has given.

    `labels` has the symbol of each label by the identity of its node, `units` blocks and models by name.
    """

    file: tree.File
    root: Scope
    scopes: tuple[Scope, ...]
    mentions: tuple[Mention, ...]
    unknown: tuple[tuple[int, str], ...]
    labels: Mapping[int, Symbol]
    units: Mapping[str, tree.Block | tree.Model]

    @cached_property
    def _starts(self) -> list[int]:
        return [mention.span.start for mention in self.mentions]

    def at(self, offset: int) -> Mention | None:
        """The mention that an offset lies in, or right behind."""
        found = bisect_right(self._starts, offset)
        for mention in reversed(self.mentions[max(0, found - 2) : found]):
            if mention.span.start <= offset <= mention.span.end:
                return mention
        return None

    def of(self, symbol: Symbol) -> Iterator[Mention]:
        return (mention for mention in self.mentions if mention.symbol is symbol)

    def scope_at(self, offset: int) -> Scope:
        """The innermost scope around an offset."""
        around = [scope for scope in self.scopes if scope.start <= offset <= scope.end]
        return max(around, key=lambda scope: (scope.start, -scope.end), default=self.root)

    def symbols(self) -> Iterator[Symbol]:
        """Every symbol that is given in this file, in the order of the text."""
        return (mention.symbol for mention in self.mentions if mention.span == mention.symbol.span)

    def parameters(self, called: Symbol) -> tuple[Symbol, ...]:
        """The parameters and inputs of a block, model or function."""
        given = {mention.span: mention.symbol for mention in self.mentions}
        return tuple(given.get(symbol.span, symbol) for symbol in parameters(called))

    def item_at(self, offset: int) -> tree.Item | None:
        return next((item for item in self.file.items if item.span.start <= offset <= item.span.end), None)


def parameters(called: Symbol) -> list[Symbol]:
    """The parameters and inputs of a block, model or function, read from its head: those of another file too."""
    node = called.node
    params = node.params or () if isinstance(node, tree.Block | tree.Function) else ()
    signature = node.signature if isinstance(node, tree.Block | tree.Model) else None
    ports = signature.inputs if signature is not None else ()
    found = [Symbol("parameter", param.name.text, param.name.span, param) for param in params]
    return found + [Symbol("input", p.name.text, p.name.span, p) for p in ports if p.name is not None]
