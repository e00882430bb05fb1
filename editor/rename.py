"""A name and all its uses become another, or the reason why they cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..compiler.build.labels import check_label, check_name
from ..compiler.layers.registry import stem
from ..compiler.pipeline import analyse
from ..compiler.semantics.language import FUNCTIONS, LAYERS, RESERVED
from ..compiler.semantics.report import Report
from ..grammar import Diagnostic, Fix, Source, parse, tree
from ..grammar.source import Span
from .document import Analysed, Document
from .documentation import vocabulary
from .imports import SHARED, Files, key
from .index import Index, Mention, Symbol
from .labels import PARTS_OF_RESIDUAL
from .names import read_names

_LOWER, _CAPITAL = re.compile(r"[a-z_][A-Za-z0-9_]*"), re.compile(r"[A-Z][A-Za-z0-9_]*")
_CAPITALISED = frozenset({"block", "model", "dim"})
_ONLY_NAMES = frozenset({"constant", "function", "parameter", "value", "index", "dim"})
"""What has a name for nothing but to be told apart: labels are attributes and keys too, ports are bound to data."""


class Refusal(Exception):
    """Why a name cannot be given, in a sentence."""


@dataclass(frozen=True)
class Renaming:
    """The uses of a name as edits of one document, and what the compiler finds wrong with its text after them."""

    document: Document
    edits: tuple[Fix, ...]
    errors: tuple[Diagnostic, ...] = ()
    elsewhere: bool = False
    """Whether the document has the name from another, which is the one that is being edited."""

    def check(self, before: Analysed) -> None:
        """Raises Refusal for the first error that the text before the edits, analysed in `before`, does not have.

        Errors are the same by code and place: many a message has the name in it, or a name that is like it.
        """
        known = {(one.code, one.span.source.name, self._moved(one.span)) for one in before.analysis.diagnostics}
        for one in self.errors:
            if (one.code, one.span.source.name, one.span.start) not in known:
                raise Refusal(f"{f'In {self.document.source.name}: ' if self.elsewhere else ''}{_sentence(one)}")

    def _moved(self, span: Span) -> int:
        """Where a span of the text before begins after the edits."""
        if span.source is not self.document.source:
            return span.start
        earlier = (edit for edit in self.edits if edit.span.start < span.start)
        return span.start + sum(len(edit.text) - (edit.span.end - edit.span.start) for edit in earlier)


def renamable(document: Document, offset: int) -> Span:
    """The word at an offset, where it is a name that can be changed. Raises Refusal."""
    return _mention(document, offset).span


def rename(
    document: Document, offset: int, name: str, known: Analysed | None = None, importers: Sequence[Document] = ()
) -> list[Renaming]:
    """The edits that give the name at an offset another spelling, those of the document first, then those of the
    `importers` that have the name from it. Raises Refusal.

    A new name is taken where the text reads the same with it: every name stands for what it stood for, and the
    compiler finds nothing new, which `Renaming.check` tells where it finds something. `known` is the analysis of the
    document, where there is one already.
    """
    mention = _mention(document, offset)
    symbol = mention.symbol
    _check_form(symbol, name)
    if name == symbol.name:
        return [Renaming(document, ())]
    if known is not None and symbol.kind == "input":
        _check_fields(symbol, name, _model(document, symbol), known)
    edits = tuple(Fix(one.span, name) for one in document.index.of(symbol))
    return [_renamed(document, symbol, name, edits), *_in_importers(importers, document, symbol, name, edits)]


def _renamed(document: Document, symbol: Symbol, name: str, edits: tuple[Fix, ...]) -> Renaming:
    """The edits of the document that gives the name."""
    if _is_free(document, symbol, name):
        return Renaming(document, edits)
    source = Source(document.source.name, _applied(document.text, edits))
    file, found = parse(source)
    if _structure(read_names(file, document.outside)) != _structure(document.index):
        raise Refusal(_taken(document, symbol, name))
    if symbol.kind not in _ONLY_NAMES:
        found = analyse(source, read=document.files.read).diagnostics
    return Renaming(document, edits, tuple(one for one in found if one.severity == "error"))


def _in_importers(
    importers: Sequence[Document], document: Document, symbol: Symbol, name: str, edits: tuple[Fix, ...]
) -> list[Renaming]:
    """The edits of the documents that have the name from the one that gives it."""
    place = key(document.source.name), symbol.span.start
    own = {document: edits}
    for other in importers:
        mentions = (one for one in other.index.mentions if _place(one.symbol) == place)
        own[other] = tuple(Fix(one.span, name) for one in mentions)
    concerned = [other for other in importers if own[other] or symbol.kind in SHARED]
    if all(_is_unheard(other, name) for other in concerned):
        return [Renaming(other, own[other], elsewhere=True) for other in concerned if own[other]]
    texts = {other: Source(other.source.name, _applied(other.text, made)) for other, made in own.items()}
    files = Files(document.files.opened | {key(source.name): source for source in texts.values()})
    return [_reread(other, texts[other], own[other], files, symbol, name) for other in concerned]


def _reread(
    document: Document, source: Source, edits: tuple[Fix, ...], files: Files, symbol: Symbol, name: str
) -> Renaming:
    """The edits of one of them, its text after them and that of all others in `files`."""
    file, _ = parse(source)
    if _structure(read_names(file, files.outside(file))) != _structure(document.index):
        raise Refusal(f"In {document.source.name}: {_taken(document, symbol, name)}")
    found = analyse(source, read=files.read).diagnostics
    # What is wrong in other files is told of them.
    mine = tuple(one for one in found if one.severity == "error" and one.span.source.name == source.name)
    return Renaming(document, edits, mine, elsewhere=True)


def _place(symbol: Symbol) -> tuple[str, int]:
    """Where a name is given, which is the same for all that read its file."""
    return key(symbol.span.source.name), symbol.span.start


def _is_free(document: Document, symbol: Symbol, name: str) -> bool:
    """Whether nothing can speak against a name because nothing has it: reading the text anew takes much longer.

    Two things are left to the analysis all the same: inputs of a model that is trained, which are bound to fields of
    the data, and labels inside a layer, whose class has names of its own.
    """
    if symbol.kind == "input" and _is_trained(document, symbol):
        return False
    if symbol.kind == "label" and _in_arguments(document, symbol):
        return False
    return _is_unheard(document, name)


def _is_unheard(document: Document, name: str) -> bool:
    """Whether a name is neither in a text nor made of what is, nor a word of the language or of its imports."""
    if name in document.outside or name in vocabulary():
        return False
    # Labels are made of names too: `mlp` of a block `Mlp`, `mlp_norm` of that.
    if name.endswith(tuple(f"_{part}" for part in PARTS_OF_RESIDUAL)):
        return False
    return not re.search(rf"\b({name}|{stem(name)})(\b|_)", document.text)


def _is_trained(document: Document, symbol: Symbol) -> bool:
    """Whether a port is one of a model with a recipe."""
    model = _model(document, symbol)
    return any(isinstance(item, tree.Train) and item.model.text == model for item in document.file.items)


def _model(document: Document, symbol: Symbol) -> str | None:
    """The model whose port a symbol is; None for a block's."""
    item = document.index.item_at(symbol.span.start)
    return item.name.text if isinstance(item, tree.Model) else None


def _check_fields(symbol: Symbol, name: str, model: str | None, known: Analysed) -> None:
    """Raises Refusal for an input that is bound to a field of the data, where no field has the new name."""
    for plan in known.analysis.plans.values():
        fields = plan.data.fields
        if plan.model == model and fields is not None and symbol.name in plan.bind and name not in fields:
            listed = ", ".join(f"`{field}`" for field in fields)
            raise Refusal(f"`{symbol.name}` is bound to the field of its name in the data, which has {listed}")


def _in_arguments(document: Document, symbol: Symbol) -> bool:
    """Whether a label stands among the arguments of a call."""
    inside: tree.Node | None = document.index.item_at(symbol.span.start)
    while inside is not None and inside is not symbol.node:
        if isinstance(inside, tree.Stage):
            args = inside.args or ()
            if any(arg.span.start <= symbol.span.start < arg.span.end for arg in args):
                return True
        around = (child for child in tree.children(inside) if child.span.start <= symbol.span.start < child.span.end)
        inside = next(around, None)
    return False


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
    if symbol.kind not in _ONLY_NAMES:
        check, report = check_label if symbol.kind == "label" else check_name, Report()
        check(tree.Name(name, span=symbol.span), report)
        for one in report.diagnostics:
            raise Refusal(_sentence(one))
    capital = symbol.kind in _CAPITALISED
    if not (_CAPITAL if capital else _LOWER).fullmatch(name):
        begins = "a capital letter" if capital else "a small letter"
        raise Refusal(
            f"`{name}` is no name for a {symbol.kind}: it begins with {begins} and has letters, digits and `_`"
        )


def _sentence(found: Diagnostic) -> str:
    return f"{found.message[0].upper()}{found.message[1:]}"


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


def _taken(document: Document, symbol: Symbol, name: str) -> str:
    """Why the text of a document would read differently with the new name."""
    index = document.index
    other = next((one for one in index.symbols() if one.name == name and one is not symbol), None)
    if other is not None:
        return f"`{name}` is taken: line {other.span.line} gives it to a {other.kind}"
    used = next((at for at, word in index.unknown if word == name), None)
    if used is not None:
        line = document.source.position(used)[0]
        return f"`{name}` is used in line {line} for something else"
    return f"`{name}` would change what other names of the file stand for"
