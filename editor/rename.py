"""A name and all its uses become another, or the reason why they cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..compiler.pipeline import analyse
from ..compiler.semantics.language import FUNCTIONS, LAYERS, RESERVED
from ..grammar import Diagnostic, Fix, Source, parse
from ..grammar.source import Span
from .document import Analysed, Document
from .index import Index, Mention, Symbol
from .names import read_names

_LOWER, _CAPITAL = re.compile(r"[a-z_][A-Za-z0-9_]*"), re.compile(r"[A-Z][A-Za-z0-9_]*")
_CAPITALISED = frozenset({"block", "model", "dim"})
_ONLY_NAMES = frozenset({"constant", "function", "parameter", "value", "index"})
"""What has a name for nothing but to be told apart: labels are attributes and keys too, ports are bound to data."""


class Refusal(Exception):
    """Why a name cannot be given, in a sentence."""


@dataclass(frozen=True)
class Renaming:
    """The uses of a name as edits of one document, and what the compiler finds wrong with the text after them."""

    document: Document
    edits: tuple[Fix, ...]
    errors: tuple[Diagnostic, ...] = ()

    def check(self, before: Analysed) -> None:
        """Raises Refusal for the first error that the text before the edits, analysed in `before`, does not have.

        Errors are the same by code and place: many a message has the name in it, or a name that is like it.
        """
        known = {(one.code, one.span.source.name, self._moved(one.span)) for one in before.analysis.diagnostics}
        for one in self.errors:
            if (one.code, one.span.source.name, one.span.start) not in known:
                raise Refusal(f"{one.message[0].upper()}{one.message[1:]}")

    def _moved(self, span: Span) -> int:
        """Where a span of the text before begins after the edits."""
        if span.source is not self.document.source:
            return span.start
        earlier = (edit for edit in self.edits if edit.span.start < span.start)
        return span.start + sum(len(edit.text) - (edit.span.end - edit.span.start) for edit in earlier)


def renamable(document: Document, offset: int) -> Span:
    """The word at an offset, where it is a name that can be changed. Raises Refusal."""
    return _mention(document, offset).span


def rename(document: Document, offset: int, name: str) -> Renaming:
    """The edits that give the name at an offset another spelling. Raises Refusal.

    A new name is taken where the text reads the same with it: every name stands for what it stood for, and the
    compiler finds nothing new, which `Renaming.check` tells where it finds something. This takes one analysis, and of
    what has only a name the tree alone.
    """
    mention = _mention(document, offset)
    symbol = mention.symbol
    _check_form(symbol, name)
    if name == symbol.name:
        return Renaming(document, ())
    edits = tuple(Fix(one.span, name) for one in document.index.of(symbol))
    source = Source(document.source.name, _applied(document.text, edits))
    if symbol.kind in _ONLY_NAMES:
        file, found = parse(source)
    else:
        analysis = analyse(source, read=document.files.read)
        file, found = analysis.file, analysis.diagnostics
    if _structure(read_names(file, document.outside)) != _structure(document.index):
        raise Refusal(_taken(document.index, symbol, name))
    return Renaming(document, edits, tuple(one for one in found if one.severity == "error"))


def _mention(document: Document, offset: int) -> Mention:
    mention = document.index.at(offset)
    if mention is None:
        raise Refusal("There is no name of this file here: words of the language cannot be renamed")
    if mention.symbol.span.source is not document.source:
        raise Refusal(f"`{mention.symbol.name}` is given in {mention.symbol.span.source.name}: rename it there")
    return mention


def _check_form(symbol: Symbol, name: str) -> None:
    if name in RESERVED:
        raise Refusal(f"`{name}` is a word of the language")
    if symbol.kind in ("block", "model") and name in LAYERS | FUNCTIONS:
        raise Refusal(f"`{name}` is a layer of the language")
    capital = symbol.kind in _CAPITALISED
    if not (_CAPITAL if capital else _LOWER).fullmatch(name):
        begins = "a capital letter" if capital else "a small letter"
        raise Refusal(
            f"`{name}` is no name for a {symbol.kind}: it begins with {begins} and has letters, digits and `_`"
        )


def _applied(text: str, edits: Iterable[Fix]) -> str:
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.span.start], edit.text]
        at = edit.span.end
    return "".join([*parts, text[at:]])


def _structure(index: Index) -> tuple[list[int], int]:
    """Which mentions stand for the same thing, in the order of the text, and how many words stand for none."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(id(m.symbol), len(numbers)) for m in index.mentions], len(index.unknown)


def _taken(index: Index, symbol: Symbol, name: str) -> str:
    """Why the text would read differently with the new name."""
    other = next((one for one in index.symbols() if one.name == name and one is not symbol), None)
    if other is not None:
        return f"`{name}` is taken: line {other.span.line} gives it to a {other.kind}"
    used = next((at for at, word in index.unknown if word == name), None)
    if used is not None:
        line = symbol.span.source.position(used)[0]
        return f"`{name}` is used in line {line} for something else"
    return f"`{name}` would change what other names of the file stand for"
