"""What a completion is made of, and how words of the library and names of the file become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ..grammar import tree
from .documentation import Option, Page
from .hover import option_text, page_text, symbol_text
from .index import Symbol

Sort = Literal["name", "layer", "function", "option", "key", "word", "field", "keyword", "block", "label"]


@dataclass(frozen=True)
class Item:
    """One thing that may be typed: `insert` takes the place of the word that was begun, `label` where it is empty.
    Lower ranks come first."""

    label: str
    sort: Sort
    detail: str = ""
    text: Callable[[], str] = str
    insert: str = ""
    rank: int = 1


def page_item(page: Page, rank: int = 1) -> Item:
    sort: Sort = "layer" if page.word[0].isupper() else "function"
    return Item(page.word, sort, page.signature, lambda: page_text(page), rank=rank)


def option_item(option: Option, page: Page) -> Item:
    detail = f"{option.default} if left out" if option.default is not None else "required" if option.takes else ""
    return Item(option.name, "option", detail, lambda: option_text(option, page), f"{option.name} = ", 0)


def parameter_item(symbol: Symbol) -> Item:
    return Item(symbol.name, "option", symbol.kind, lambda: symbol_text(symbol), f"{symbol.name} = ", 0)


def symbol_item(symbol: Symbol) -> Item:
    sort: Sort = "block" if symbol.kind in ("block", "model") else "label" if symbol.kind == "label" else "name"
    return Item(symbol.name, sort, symbol.kind, lambda: symbol_text(symbol))


def word_items(words: Iterable[str], detail: str = "", rank: int = 1) -> Iterator[Item]:
    return (Item(word, "word", detail, rank=rank) for word in words)


def behind(items: Iterable[Item], rank: int) -> Iterator[Item]:
    """The items with a rank of their own."""
    return (replace(item, rank=rank) for item in items)


def may_be_number(symbol: Symbol) -> bool:
    """Whether a name can stand for a number, by what is written for it."""
    match symbol:
        case Symbol(kind="constant", node=tree.Constant(value=value)):
            return not isinstance(
                value, tree.String | tree.Bool | tree.List | tree.Then | tree.Label | tree.Body
            ) and not (isinstance(value, tree.Stage) and value.path.parts[0][:1].isupper())
        case Symbol(kind="parameter" | "dim" | "index"):
            return True
    return False


def may_be_flow(symbol: Symbol) -> bool:
    """Whether a constant can stand for a call or a flow, by what is written for it."""
    node = symbol.node
    return isinstance(node, tree.Constant) and isinstance(node.value, tree.Stage | tree.Then | tree.Choice)
