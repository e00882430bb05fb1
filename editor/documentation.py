"""What the words of the language mean, taken from the classes and tables that define them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from typing import Any

from ..compiler.layers import registry as layers
from ..compiler.layers.base import Layer
from ..compiler.options import Field, OptionSet
from ..compiler.python_layers.signature import Signature
from ..compiler.semantics.combinators import ENTRIES, Combinator
from ..compiler.semantics.language import RESERVED
from ..compiler.semantics.number import MATHS, Literal, Operation, Reference, exact_value, spell, written
from ..compiler.semantics.report import Report
from ..compiler.training import registry as training
from ..compiler.training.base import Options, ReadBy
from ..compiler.training.cadence import OF_KEYS
from ..compiler.training.key_pages import KEY_PAGES, OF_PHASES, ONLY_PHASES, KeyPage
from ..compiler.training.lines import REQUIRED
from ..compiler.training.measure import Measure
from ..grammar import tree
from ..grammar.source import Source

# A stop ends a sentence, though not in "Vaswani et al. 2017"; so does a semicolon before the name of an option.
_SENTENCE = re.compile(r"(?<=[.)])(?<!al\.)\s+(?=[A-Z`])|(?<=;)\s+(?=`)")


_UNITS = frozenset({"epoch", "data"})
"""What a recipe counts in, and where its fields come from: words that no file gives."""


@dataclass(frozen=True)
class Option:
    """An option of a call: `takes` is worded to follow "takes", `words` are the bare words it takes."""

    name: str
    text: str
    takes: str = ""
    default: str | None = None
    words: tuple[str, ...] = ()
    flag: bool = False


@dataclass(frozen=True)
class Page:
    """A word of the language: how it is written, what it does, its options in order, a line that uses it."""

    word: str
    signature: str
    text: str
    example: str = ""
    options: tuple[Option, ...] = ()
    body: bool = False

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)


# --- in a body ---------------------------------------------------------------------------------------------------


@cache
def layer(word: str) -> Page | None:
    """A layer, function or combinator."""
    if word in ENTRIES:
        return _combinator(word, ENTRIES[word])
    kind = layers.find(word)
    return None if kind is None else _of_class(word, kind, kind.example)


def python_layer(signature: Signature) -> Page:
    """A layer written in Python, by what its file says of it."""
    word, text = signature.name, cleandoc(signature.doc)
    options = tuple(_option(name, field, _sentences(text)) for name, field in signature.options.items())
    listed = ", ".join(map(_listed, options))
    return Page(word, f"{word}({listed})" if listed else word, text, options=options)


@cache
def layer_words() -> tuple[str, ...]:
    """The words of all layers, functions and combinators."""
    return (*layers.words(), *ENTRIES)


def maths(word: str) -> Page | None:
    text = _MATHS.get(word)
    return None if text is None else Page(word, text[0], text[1])


_MATHS = {
    "sqrt": ("sqrt(x)", "The square root."),
    "exp": ("exp(x)", "e to the power of x."),
    "log": ("log(x)", "The natural logarithm."),
    "abs": ("abs(x)", "The distance from 0."),
    "sin": ("sin(x)", "The sine, x in radians."),
    "cos": ("cos(x)", "The cosine, x in radians."),
    "min": ("min(a, b)", "The smaller of two."),
    "max": ("max(a, b)", "The larger of two."),
    "floor": ("floor(x)", "The next whole number below."),
    "ceil": ("ceil(x)", "The next whole number above."),
    "round_up": ("round_up(x, n)", "The next multiple of n that is not below x."),
}


def maths_words() -> Iterable[str]:
    return sorted(MATHS & _MATHS.keys())


# --- in train and export -----------------------------------------------------------------------------------------


def key(word: str) -> Page | None:
    """A key of `train`."""
    entry = KEY_PAGES.get(word)
    return None if entry is None else Page(word, f"{word} = ...", entry.text, entry.example)


def key_entry(word: str) -> KeyPage | None:
    return KEY_PAGES.get(word)


def key_words(*, phase: bool) -> Iterable[str]:
    """The keys of a section, or of a phase in one."""
    return [word for word in KEY_PAGES if (word in OF_PHASES if phase else word not in ONLY_PHASES)]


def is_required(word: str) -> bool:
    """Whether no recipe goes without it."""
    return word in REQUIRED or word == "epochs"


@cache
def call(folder: str, word: str) -> Page | None:
    """A loss, optimizer, source of data ...: what the registry `folder` of training has under a word."""
    kind = training.find(folder, word, Options)
    return None if kind is None else _of_class(word, kind, kind.example)


@cache
def calls_of_key(word: str) -> tuple[Page, ...]:
    """All that a key may call, wherever in its value."""
    page = KEY_PAGES.get(word)
    folders = () if page is None else dict.fromkeys((page.folder, page.behind))
    own = OF_KEYS.get(word)
    found = () if own is None else (_of_class(own.word, own, own.example),)
    return (*found, *(one for folder in folders if folder is not None for one in calls(folder)))


@cache
def calls(folder: str) -> tuple[Page, ...]:
    """All that a registry of training has."""
    found = (call(folder, word) for word in training.words(folder))
    return tuple(page for page in found if page is not None)


def formats() -> tuple[Page, ...]:
    """What an `export` section may call."""
    return calls("formats")


_FOLDERS = (*dict.fromkeys(f for page in KEY_PAGES.values() for f in (page.folder, page.behind) if f), "formats")


def pages(word: str) -> tuple[Page, ...]:
    """All that a word of the language means: `mse` is a loss and a metric."""
    elsewhere = [call(folder, word) for folder in _FOLDERS]
    of_keys = [_of_class(kind.word, kind, kind.example) for kind in OF_KEYS.values() if kind.word == word]
    found = [layer(word), maths(word), key(word), *elsewhere, *of_keys]
    return tuple(page for page in found if page is not None)


def calls_a_key(word: str) -> bool:
    """Whether a word is what a key of `train` takes, `patience` of `early_stop`."""
    return any(kind.word == word for kind in OF_KEYS.values())


def options_named(name: str) -> tuple[tuple[Page, Option], ...]:
    """Every option of that name, each with what takes it."""
    entries = (page for word in words() for page in pages(word))
    return tuple((page, option) for page in entries if (option := page.option(name)) is not None)


def options_taking(word: str) -> tuple[tuple[str, Option], ...]:
    """Every option that takes a bare word, and every key of `train`, each with what has it."""
    taken = [(page.word, option) for name in words() for page in pages(name) for option in page.options]
    keys = (("train", Option(name, entry.text)) for name, entry in KEY_PAGES.items() if _takes_word(entry, word))
    return (*((of, option) for of, option in taken if word in option.words), *keys)


def _takes_word(entry: KeyPage, word: str) -> bool:
    return entry.words is not None and word in entry.words.words


def words() -> tuple[str, ...]:
    """Every word that has a page."""
    called = (word for folder in _FOLDERS for word in training.words(folder))
    of_keys = (kind.word for kind in OF_KEYS.values())
    return tuple(dict.fromkeys((*layer_words(), *maths_words(), *KEY_PAGES, *called, *of_keys)))


@cache
def vocabulary() -> frozenset[str]:
    """Every word that means something by itself somewhere: those with pages, their options, and what these take."""
    entries = [page for word in words() for page in pages(word)]
    options = [option for page in entries for option in page.options]
    taken = (word for option in options for word in option.words)
    return RESERVED.union(_UNITS, words(), (option.name for option in options), taken)


def load() -> None:
    """Read all pages, so that the first question does not wait for them."""
    for word in layer_words():
        layer(word)
    for word in KEY_PAGES:
        calls_of_key(word)
    formats()
    vocabulary()


# --- pages -------------------------------------------------------------------------------------------------------


def _combinator(word: str, entry: Combinator) -> Page:
    options = tuple(Option(name, text, words=entry.words.get(name, ())) for name, text in entry.options.items())
    return Page(word, entry.signature, entry.text, entry.example, options, entry.body)


def _of_class(word: str, kind: type[OptionSet], example: str) -> Page:
    text = cleandoc(kind.__doc__ or "")
    sentences = _sentences(text)
    options = tuple(_option(name, field, sentences) for name, field in kind.options.items())
    listed = [*(kind.takes if issubclass(kind, Measure) else ()), *map(_listed, options)]
    if issubclass(kind, Layer) and kind.variadic is not None:
        listed = ["..." if option.name == kind.variadic else _listed(option) for option in options]
    return Page(word, f"{word}({', '.join(listed)})" if listed else word, text, example, options)


def _sentences(text: str) -> list[str]:
    """The sentences of a docstring; an item of a list, and what a semicolon parts in it, stands for itself."""
    blocks = re.split(r"\n\s*\n|\n- ", text)
    return [s for block in blocks for s in _SENTENCE.split(" ".join(block.removeprefix("- ").split())) if s]


def _listed(option: Option) -> str:
    return option.name if option.default is None else f"{option.name} = {option.default}"


def _option(name: str, field: Field, sentences: list[str]) -> Option:
    reader = next((mark for mark in field.marks if isinstance(mark, ReadBy)), None)
    words = field.kind.words if field.kind is not None else frozenset()
    takes = _takes(name, field, reader)
    said = [sentence for sentence in sentences if re.search(rf"`[^`]*\b{name}\b[^`]*`", sentence)]
    if len(said) > 1 and said[0] is sentences[0]:
        del said[0]  # the first sentence is about the whole, and names options in passing
    # Where some begin with the option, the others are about another one.
    said = [sentence for sentence in said if re.match(rf"`{name}\b", sentence)] or said[:1]
    default = None if field.required else _spelled(field.default)
    known = tuple(sorted(words | reader.words if reader is not None else words))
    return Option(name, " ".join(said).rstrip(";"), takes, default, known, takes.startswith("true or false"))


class _Nothing:
    """What no option takes."""


class _NoNames:
    """A place where no name is known."""

    def find(self, name: str) -> None:
        return None

    def names(self) -> Iterable[str]:
        return ()

    def flows(self) -> Container[str]:
        return ()


def _takes(name: str, field: Field, reader: ReadBy | None) -> str:
    """What an option takes, in the words of the refusal that anything else gets."""
    if reader is not None:
        report = Report()
        reader.read(tree.List((), span=Source("", "").span(0, 0)), name, _NoNames(), report)
        told = next((d.message for d in report.diagnostics), "")
        return told.partition(" takes ")[2]
    if field.kind is None:
        return ""
    try:
        field.kind.check(_Nothing())
    except ValueError as refusal:
        return str(refusal)
    except (AttributeError, TypeError):
        # A kind that only ever sees what another reader has let pass.
        return ""
    return ""


def _spelled(value: Any) -> str:
    """A default as a spec writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case tuple() | list():
            return f"[{', '.join(map(_spelled, value))}]"
        case Literal() | Reference() | Operation():
            return written(value)
        case int() | float():
            return spell(exact_value(value))
        case Layer():
            return value.word
        case str() if not value.isidentifier():
            return f'"{value}"'
    return str(getattr(value, "kind", value))
