"""Keys and options that take one of a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...grammar import tree
from ..semantics.evaluate import FAULT, Scope, evaluate
from ..semantics.report import Report
from .base import ReadBy
from .language import Vocabulary


def read_word(flow: tree.Flow, name: str, vocabulary: Vocabulary, scope: Scope, report: Report) -> str | None:
    """One of the words, bare, quoted, or a constant that holds it; None for any other (reported)."""
    match flow:
        case tree.Stage(path=tree.Path(parts=(word,)) as path, args=None, body=None) if scope.find(word) is None:
            place = path.span
        case tree.Stage() | tree.String():
            word, place = evaluate(flow, scope, report), flow.span
        case _:
            word, place = None, flow.span
    if word is FAULT:
        return None
    if not isinstance(word, str):
        legal = ", ".join(f"`{w}`" for w in sorted(vocabulary.words))
        report.error("wrong-value", f"`{name}` takes one of {legal}", place, "not one of them")
        return None
    if word in vocabulary.words:
        return word
    report.unknown(vocabulary.noun, word, place, vocabulary.words, vocabulary.spellings)
    return None


def word_option(noun: str, words: str, spellings: Mapping[str, str] | None = None, *, none: bool = False) -> ReadBy:
    """The reader of an option that takes one of a few words, or `none` too."""
    vocabulary = Vocabulary(noun, frozenset(words.split()), dict(spellings or {}))

    def read(flow: tree.Flow, name: str, scope: Scope, report: Report) -> Any:
        if none and isinstance(flow, tree.Nothing):
            return None
        word = read_word(flow, name, vocabulary, scope, report)
        return FAULT if word is None else word

    return ReadBy(read, vocabulary.words)
