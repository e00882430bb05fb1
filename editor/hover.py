"""What an editor shows of the word under the pointer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..grammar import tree
from ..grammar.source import Span
from .document import Analysed, Document
from .documentation import Option, Page, key
from .fields import field_type, fields
from .index import Mention, Symbol
from .keywords import KEYWORDS
from .places import chain_at, key_of, page_of, section_of
from .shapes import Fact

# Names of neighbouring constants stand in a column.
_ALIGNED = re.compile(r"(?<=\w) +=")

Facts = Callable[[tree.Node], Fact | None]


@dataclass(frozen=True)
class Card:
    """A text in Markdown about the word at a span."""

    span: Span
    text: str


def hover(document: Document, offset: int, analysed: Analysed | None) -> Card | None:
    """What is known of the word at an offset: the documentation of the library's, what the file says of its own."""
    chain = chain_at(document.file, offset)
    facts: Facts = analysed.facts_for(document) if analysed is not None else _nothing
    mention = document.index.at(offset)
    if mention is not None:
        return Card(mention.span, _symbol(mention, chain, facts, analysed))
    for place in range(len(chain) - 1, -1, -1):
        card = _library(chain[: place + 1], offset, document, facts)
        if card is not None:
            return card
    return _keyword(document, offset)


def _keyword(document: Document, offset: int) -> Card | None:
    """A word that the language itself is made of: `block`, `as`, `none`."""
    for token in document.tokens(offset):
        page = KEYWORDS.get(document.text[token.start : token.end]) if token.start <= offset <= token.end else None
        if page is not None:
            return Card(document.source.span(token.start, token.end), page_text(page))
    return None


def _nothing(flow: tree.Node) -> None:
    return None


# --- words of the library ----------------------------------------------------------------------------------------


def _library(chain: Sequence[tree.Node], offset: int, document: Document, facts: Facts) -> Card | None:
    match chain[-1]:
        case tree.Keyword(name=name) if _within(name.span, offset):
            found = _option_card(name.span, name.text, chain, document)
            return None if found is None else found[0]
        case tree.Stage(path=path) as stage if _within(path.span, offset):
            if isinstance(chain[-2], tree.Keyword):
                option = _option_card(path.span, chain[-2].name.text, chain[:-1], document)
                if option is not None and str(path) in option[1].words:
                    return option[0]
            page = page_of(stage, chain, document)
            if page is not None:
                return Card(path.span, "\n\n".join([*_fact(facts(stage)), *_page(page)]))
            if path.parts[0] == "data":
                return _field_card(path, chain, document)
            setting = key_of(chain)
            return None if setting is None else _key_card(path.span, setting.name.text)
        case tree.Binding(name=name) if _within(name.span, offset) and isinstance(section_of(chain), tree.Train):
            return _key_card(name.span, name.text)
    return None


def _option_card(span: Span, name: str, chain: Sequence[tree.Node], document: Document) -> tuple[Card, Option] | None:
    """The card of an option of the call that the chain's last node is an argument of, and the option."""
    stage = chain[-2]
    if not isinstance(stage, tree.Stage):
        return None
    page = page_of(stage, chain[:-1], document)
    option = None if page is None else page.option(name)
    return None if page is None or option is None else (Card(span, option_text(option, page)), option)


def _field_card(path: tree.Path, chain: Sequence[tree.Node], document: Document) -> Card | None:
    """A field of the data: its type, for a batch."""
    section = section_of(chain)
    found = fields(section, document) if isinstance(section, tree.Train) else {}
    field = found.get(path.parts[-1])
    return (
        None if field is None else Card(path.span, f"{_code(f'{path}: {field_type(field)}')}\n\nA field of the data.")
    )


def _key_card(span: Span, name: str) -> Card | None:
    page = key(name)
    return None if page is None else Card(span, "\n\n".join(_page(page)))


def _page(page: Page) -> Iterator[str]:
    yield _code(page.signature)
    yield page.text
    if page.example and page.example != page.word:
        yield f"Example: `{page.example}`"


def page_text(page: Page) -> str:
    return "\n\n".join(_page(page))


def option_text(option: Option, page: Page) -> str:
    """What an option of a call means, takes and is where it is left out."""
    default = "" if option.default is None else f" = {option.default}"
    takes = f"Takes {option.takes}." if option.takes else ""
    parts = [_code(f"{option.name}{default}"), f"Option of `{page.word}`. {takes}".strip(), option.text]
    return "\n\n".join(part for part in parts if part)


# --- names of the file -------------------------------------------------------------------------------------------


def _symbol(mention: Mention, chain: Sequence[tree.Node], facts: Facts, analysed: Analysed | None) -> str:
    symbol = mention.symbol
    known = facts(_carrier(symbol, mention, chain))
    parts = [_code(_heading(symbol)), _what(symbol)]
    if symbol.kind == "constant" and analysed is not None:
        value = analysed.facts.constant(symbol.name)
        parts += [f"It is {value}."] if value is not None else []
    parts += [comment_above(symbol), *_fact(known)]
    return "\n\n".join(part for part in parts if part)


def symbol_text(symbol: Symbol) -> str:
    """What the file alone says of a name."""
    parts = [_code(_heading(symbol)), _what(symbol), comment_above(symbol)]
    return "\n\n".join(part for part in parts if part)


def _carrier(symbol: Symbol, mention: Mention, chain: Sequence[tree.Node]) -> tree.Node:
    """The node that carries the value: where a block or label is used as a stage, that use."""
    stage = next((node for node in reversed(chain) if isinstance(node, tree.Stage)), None)
    used = stage is not None and stage.path.span.start == mention.span.start and mention.span != symbol.span
    if stage is not None and used and symbol.kind in ("block", "model", "label") and len(stage.path.parts) == 1:
        return stage
    return symbol.node


def _heading(symbol: Symbol) -> str:
    node = symbol.node
    match node:
        case tree.Block(body=body) | tree.Model(body=body):
            text = node.span.source.text[node.span.start : body.span.start].rstrip()
        case tree.Shape():
            text = next((d.span.text for d in node.dims if _mentions(d, symbol.name)), symbol.name)
        case tree.Phase():
            text = f"phase {symbol.name}"
        case tree.Train(recipe=recipe):
            text = f"train {node.model} as {recipe}"
        case tree.Body():
            text = symbol.name
        case _:
            text = node.span.text
    first, *rest = text.splitlines() or [symbol.name]
    return f"{first} ..." if rest and not isinstance(node, tree.Block | tree.Model) else _ALIGNED.sub(" =", text)


def _what(symbol: Symbol) -> str:
    return {
        "constant": "A constant of the file.",
        "function": "A function of the file.",
        "block": "",
        "model": "",
        "recipe": "A recipe, run by this name.",
        "parameter": "A parameter.",
        "dim": "A dim of the input.",
        "input": "An input.",
        "output": "An output.",
        "value": "A value." if isinstance(symbol.node, tree.Named) else "",
        "label": "",
        "index": "The number of the copy, counted from 0.",
        "phase": "A part of a training step.",
    }[symbol.kind]


def comment_above(symbol: Symbol) -> str:
    """The comment on the lines right above an item."""
    if symbol.kind not in ("constant", "function", "block", "model"):
        return ""
    source = symbol.node.span.source
    found: list[str] = []
    number = symbol.node.span.line - 1
    while number >= 1 and (row := source.line(number).strip()).startswith("#"):
        found.append(row.lstrip("#").strip())
        number -= 1
    return "\n".join(reversed(found))


def _fact(fact: Fact | None) -> Iterator[str]:
    if fact is None:
        return
    yield _code(f"{fact.incoming} -> {fact.outgoing}" if fact.incoming else fact.outgoing)
    told = []
    if fact.parameters:
        told.append(f"{fact.parameters:,} parameters")
    if fact.shared:
        told.append("a weight shared with another layer")
    if fact.times > 1:
        told.append(f"the first of {fact.times} uses")
    if told:
        yield ", ".join(told)


def _mentions(dim: tree.Node, name: str) -> bool:
    return any(isinstance(node, tree.Path) and str(node) == name for node in tree.walk(dim))


def _within(span: Span, offset: int) -> bool:
    return span.start <= offset <= span.end


def _code(text: str) -> str:
    return f"```dlspec\n{text}\n```"
