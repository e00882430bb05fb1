"""The names and words that can be seen from a cursor, a kind at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from ..compiler.training.source import Field
from ..grammar import tree
from ..grammar.tokens import Token
from . import documentation as docs
from .context import Bracket, Spot
from .document import Analysed, Document
from .documentation import Page
from .fields import field_type, fields
from .hover import option_text, page_text, symbol_text
from .index import Scope, Symbol
from .items import Item, behind, may_be_number, option_item, page_item, parameter_item, symbol_item, word_items
from .labels import levels, reach


@dataclass(frozen=True)
class Candidates:
    document: Document
    spot: Spot
    analysed: Analysed | None

    # --- names of the file ----------------------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        return self.document.index.scope_at(self.spot.start)

    @property
    def item(self) -> tree.Item | None:
        """The item of the file that the cursor is in."""
        return self.document.index.item_at(self.spot.start)

    def seen(self, fits: Callable[[Symbol], bool]) -> Iterator[Item]:
        """The names that can be seen and fit; what is being given is not, nor a block or model from inside itself."""
        giving = self.spot.line[0].start if self.spot.line else None
        for symbol in self.scope.visible(self.spot.start).values():
            if symbol.node is not self.item and symbol.span.start != giving and fits(symbol):
                yield symbol_item(symbol)

    def named(self, *kinds: str) -> Iterator[Item]:
        return self.seen(lambda symbol: symbol.kind in kinds)

    def symbol(self, word: str) -> Symbol | None:
        return self.scope.find(word, self.spot.start)

    # --- values and stages ----------------------------------------------------------------------------------------

    def numbers(self) -> Iterator[Item]:
        yield from self.seen(may_be_number)
        yield from self.maths()

    def values(self) -> Iterator[Item]:
        """All that an argument can be: any flow is one."""
        yield from self.seen(lambda symbol: True)
        yield from word_items(("true", "false", "none"), rank=3)
        yield from self.stages()
        yield from self.maths()

    def stages(self) -> Iterator[Item]:
        """Layers, functions and combinators of the library, and layers written in Python."""
        yield from (page_item(docs.python_layer(one)) for one in self.document.python.values())
        pages = (docs.layer(word) for word in docs.layer_words())
        yield from (page_item(page, rank=2) for page in pages if page is not None)

    def maths(self) -> Iterator[Item]:
        pages = (docs.maths(word) for word in docs.maths_words())
        return (page_item(page, rank=4) for page in pages if page is not None)

    # --- calls ----------------------------------------------------------------------------------------------------

    def in_call(self, call: Bracket, page: Page | None) -> Iterator[Item]:
        """The options that a call does not have yet, then what may stand here without a name."""
        if self.spot.tail or self.spot.inner is not call:
            return
        given = {token.text for token in self.given(call.at)}
        if page is not None:
            yield from (option_item(option, page) for option in page.options if option.name not in given)
        called = self.symbol(call.called or "")
        if called is not None and page is None:
            parameters = self.document.index.parameters(called)
            yield from (parameter_item(symbol) for symbol in parameters if symbol.name not in given)

    def value_of(self, page: Page, name: str) -> Iterator[Item]:
        """What an option takes: its words, true or false, numbers, or any flow."""
        option = page.option(name)
        if option is None:
            return
        words = [
            *option.words,
            *(("true", "false") if option.flag else ()),
            *(("none",) if "none" in option.takes else ()),
        ]
        text = option_text(option, page)
        yield from (Item(word, "word", f"of {option.name}", lambda: text, rank=0) for word in words)
        if option.flag or option.words or " number" in option.takes:
            yield from self.numbers()
        elif self.spot.section == "body" or self.spot.section == "file":
            yield from self.values()

    def page(self, call: Bracket) -> Page | None:
        """The page of what is called in a body, where it is the library's."""
        word = call.called or ""
        symbol = self.symbol(word)
        own = symbol is not None and symbol.kind in ("block", "model", "function")
        if word in self.document.python:
            return docs.python_layer(self.document.python[word])
        return None if own else docs.layer(word) or docs.maths(word)

    def given(self, opening: int) -> Iterator[Token]:
        """The names that are given values between a bracket and the one that closes it, but for the one being
        typed: options of a call, keys of a section."""
        depth = 0
        tokens = [token for token in self.spot.words if token.start > opening]
        for token, after in pairwise(tokens):
            depth += (token.kind in "([{") - (token.kind in ")]}")
            if depth < 0:
                return
            if depth == 0 and token.kind == "NAME" and after.kind == "=" and token.start != self.spot.start:
                yield token

    # --- train ----------------------------------------------------------------------------------------------------

    def keys(self) -> Iterator[Item]:
        """The keys that a section, or a phase of it, does not have yet."""
        body = self.spot.inner
        phase = body is not None and bool(body.head) and body.head[0].kind == "phase"
        taken = {token.text for token in self.given(body.at)} if body is not None else set()
        for word in docs.key_words(phase=phase):
            page = docs.key(word)
            if word not in taken and page is not None:
                yield _key_item(page)
        if not phase:
            yield Item("phase", "keyword", "phase name { ... }", lambda: "A part of a training step.", "phase ", 2)

    def measured(self) -> Iterator[Item]:
        """What a loss compares: ports of the model, fields of the data, constants."""
        yield from self.named("input", "output")
        for name, field in self.fields().items():
            yield Item(f"data.{name}", "field", field_type(field), rank=0)
        yield from behind(self.named("constant"), 3)

    def fields(self) -> Mapping[str, Field]:
        train = self.item
        return fields(train, self.document) if isinstance(train, tree.Train) else {}

    def labels(self, parts: tuple[str, ...]) -> Iterator[Item]:
        """The labels that follow the parts of a path into the model of a section."""
        item, index = self.item, self.document.index
        unit = index.units.get(item.model.text) if isinstance(item, tree.Train | tree.Export) else None
        if unit is not None:
            yield from self.levels(reach(parts, [unit.body], index.labels, index.units))

    # --- behind a dot ---------------------------------------------------------------------------------------------

    def inside(self, parts: tuple[str, ...]) -> Iterator[Item]:
        """What lies behind the parts of a path that begins with a label: more labels, or weights."""
        index = self.document.index
        symbol = self.scope.find(parts[0], self.spot.start, dotted=True)
        if symbol is None or not isinstance(symbol.node, tree.Label):
            return
        alone = tree.Body((symbol.node,), span=symbol.node.span)
        yield from self.levels(reach(parts, [alone], index.labels, index.units))
        if len(parts) == 1 and self.analysed is not None:
            for key in self.analysed.weights(symbol.node, self.document):
                yield Item(key, "field", f"a weight of {symbol.name}", rank=0)

    def levels(self, bodies: Iterable[tree.Body]) -> Iterator[Item]:
        index = self.document.index
        for body in bodies:
            for level in levels(body, index.labels, index.units):
                yield _level_item(level.name, level.symbol)


def _key_item(page: Page) -> Item:
    rank = 0 if docs.is_required(page.word) else 1
    return Item(page.word, "key", page.example, lambda: page_text(page), f"{page.word} = ", rank)


def _level_item(name: str, symbol: Symbol | None) -> Item:
    if symbol is None:
        return Item(name, "label", "called after its layer")
    derived = name != symbol.name
    return Item(
        name,
        "label",
        f"part of {symbol.name}" if derived else "label",
        lambda: symbol_text(symbol),
        rank=2 if derived else 1,
    )
