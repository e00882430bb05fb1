"""What may be typed at a place, each with what it means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..compiler.semantics.imports import shipped
from . import documentation as docs
from .candidates import Candidates
from .context import Bracket, spot_at
from .document import Analysed, Document
from .documentation import Page
from .fields import field_type
from .items import Item, behind, may_be_flow, page_item, word_items

_ITEMS = {
    "import": "Blocks, functions and constants of another file, or of the shipped library.",
    "default": "Options, by keyword, for every later use that is written in this file, block or model.",
    "block": "A reusable piece. Its parameters are fixed when the model is built.",
    "model": "An entry point: its ports name the inputs and outputs of the exported graph.",
    "train": "How a model learns, a key a line.",
    "export": "What to ship, a call a line.",
}
# Behind these a new name is given, which nobody knows but its author.
_NAMING = frozenset({"as", "phase", "block", "model"})
# What a value can end in: an operator follows, and no second value.
_ENDS = frozenset({"NAME", "TYPE", "NUMBER", "PERCENT", "STRING", ")", "]", "}"})
_LABELS = frozenset({"freeze", "rates", "update"})


@dataclass(frozen=True)
class Completion:
    """The items, best first, and where the word begins that they replace."""

    start: int
    items: tuple[Item, ...]


def complete(document: Document, offset: int, analysed: Analysed | None) -> Completion | None:
    """What is legal where a word is being typed; None in comments and between quotes."""
    spot = spot_at(document, offset)
    if spot is None:
        return None
    found: dict[str, Item] = {}
    for item in sorted(_at(Candidates(document, spot, analysed)), key=lambda item: (item.rank, item.label.lower())):
        found.setdefault(item.label, item)
    return Completion(spot.start, tuple(found.values()))


def _at(here: Candidates) -> Iterable[Item]:
    spot = here.spot
    last = spot.tail[-1].kind if spot.tail else ""
    if last in _NAMING:
        return ()
    if spot.dotted is not None:
        return _behind_dot(here, spot.dotted)
    if spot.section == "file" and spot.head in ("block", "model"):
        return _in_head(here)
    if last in _ENDS and spot.head != "default" and not (spot.section == "file" and spot.key is None):
        return _behind_value(here)
    sections = {"train": _in_train, "export": _in_export, "body": _in_body, "file": _in_file}
    return sections[spot.section](here)


def _behind_dot(here: Candidates, parts: tuple[str, ...]) -> Iterator[Item]:
    if parts == ("std",):
        yield from _modules("")
    elif parts == ("data",) and here.spot.section == "train":
        yield from (Item(name, "field", field_type(field)) for name, field in here.fields().items())
    elif here.spot.section == "train":
        yield from here.labels(parts)
    elif parts:
        yield from here.inside(parts)


def _behind_value(here: Candidates) -> Iterator[Item]:
    spot = here.spot
    yield Item("->", "keyword", "the next stage")
    yield Item("if", "keyword", "a choice when the model is built: a if c else b")
    if spot.section == "body" and (spot.inner is None or spot.inner.kind == "{"):
        yield Item("as", "keyword", "a name for the value")


# --- outside of bodies -------------------------------------------------------------------------------------------


def _in_file(here: Candidates) -> Iterator[Item]:
    spot = here.spot
    if spot.head == "import":
        yield from _modules("std.")
    elif spot.head in ("train", "export"):
        yield from here.named("model")
    elif spot.call is not None:
        yield from _in_arguments(here, spot.call, here.page(spot.call))
    elif spot.head == "default":
        yield from here.named("block")
        yield from here.stages()
    elif spot.brackets or spot.tail:
        yield from here.values()
    else:
        yield from (Item(word, "keyword", "", lambda t=text: t, f"{word} ") for word, text in _ITEMS.items())


def _modules(before: str) -> Iterator[Item]:
    return (Item(f"{before}{name}", "keyword", "shipped with dlspec") for name in shipped())


def _in_head(here: Candidates) -> Iterator[Item]:
    """Parameters and ports of a block or model: a type behind a colon, dims in its brackets, values behind `=`."""
    spot = here.spot
    if spot.inner is not None and spot.inner.kind == "[":
        yield from here.numbers()
    elif spot.tail and spot.tail[-1].kind == ":":
        yield from (Item(f"{dtype}[", "keyword", f"entries are {dtype}") for dtype in ("int", "bool"))
    elif spot.option is not None:
        yield from here.values()


# --- in a body ---------------------------------------------------------------------------------------------------


def _in_body(here: Candidates) -> Iterator[Item]:
    spot = here.spot
    if spot.call is not None:
        yield from _in_arguments(here, spot.call, here.page(spot.call))
    elif spot.inner is not None and spot.inner.kind != "{":
        yield from here.values()
    elif spot.tail and spot.tail[0].kind == "default":
        yield from here.named("block")
        yield from here.stages()
    else:
        if not spot.tail:
            yield Item("default", "keyword", "", lambda: _ITEMS["default"], "default ", 5)
        yield from here.seen(lambda symbol: True)
        yield from here.stages()


def _in_arguments(here: Candidates, call: Bracket, page: Page | None) -> Iterator[Item]:
    """Options by name, and what the option takes that stands at this place."""
    spot = here.spot
    yield from here.in_call(call, page)
    if call.head and call.head[0].kind == "default" and spot.option is None:
        return
    name = spot.option
    if name is None and page is not None and spot.inner is call and not spot.tail:
        name = next((option.name for option in page.options[spot.position : spot.position + 1]), None)
    option = page.option(name) if page is not None and name is not None else None
    if page is not None and option is not None and (option.takes or option.words):
        yield from here.value_of(page, option.name)
    else:
        yield from here.values()


# --- in train and export -----------------------------------------------------------------------------------------


def _in_train(here: Candidates) -> Iterator[Item]:
    spot, key = here.spot, here.spot.key
    if key is None:
        yield from here.keys()
        return
    if key in _LABELS or (key == "start" and spot.option in ("skip", "map")):
        yield from here.labels(())
        return
    pages, measures = docs.calls_of_key(key), key in ("loss", "metrics")
    if spot.call is not None:
        page = next((page for page in pages if page.word == spot.call.called), None)
        yield from here.in_call(spot.call, page)
        if page is not None and spot.option is not None:
            yield from here.value_of(page, spot.option)
        elif measures:
            yield from here.measured()
        else:
            yield from here.numbers()
        return
    entry = docs.key_entry(key)
    behind_arrow = any(token.kind == "->" for token in spot.line)
    if entry is not None and entry.behind is not None and entry.folder is not None:
        pages = docs.calls(entry.behind if behind_arrow else entry.folder)
    yield from (page_item(page) for page in pages)
    if measures:
        yield from behind(here.numbers(), 3)
    elif pages:
        yield from behind(here.seen(may_be_flow), 3)
        if key == "parallel":
            yield Item("none", "word", "one device", rank=2)
    elif entry is not None and (entry.words is not None or entry.flag):
        words = ("true", "false") if entry.words is None else sorted(entry.words.words)
        yield from word_items(words, f"of {key}")
    else:
        yield from here.numbers()


def _in_export(here: Candidates) -> Iterator[Item]:
    spot = here.spot
    if spot.call is None:
        yield from (page_item(page) for page in docs.formats())
        return
    page = next((page for page in docs.formats() if page.word == spot.call.called), None)
    yield from here.in_call(spot.call, page)
    if spot.option == "outputs":
        yield from here.named("output")
    elif spot.option is not None and page is not None:
        yield from here.value_of(page, spot.option)
