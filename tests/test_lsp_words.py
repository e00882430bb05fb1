"""What the editor says of the language's words is complete: each has a page, each option a meaning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dlspec.compiler.build.defaults import COMBINATOR_OPTIONS, RESIDUAL_OPTIONS
from dlspec.compiler.layers import registry
from dlspec.compiler.semantics.arithmetic import MATHS
from dlspec.compiler.semantics.combinators import ENTRIES
from dlspec.compiler.semantics.language import COMBINATORS, TRAIN_KEYS
from dlspec.compiler.training.key_pages import KEY_PAGES, ONLY_PHASES
from dlspec.editor.documentation import Page, calls, calls_of_key, key, layer, layer_words, maths
from dlspec.grammar import Source, parse

pytestmark = pytest.mark.no_torch


def pages() -> Iterator[Page]:
    yield from filter(None, map(layer, layer_words()))
    for word in KEY_PAGES:
        yield from calls_of_key(word)
    yield from calls("formats")


def test_every_combinator_has_an_entry() -> None:
    assert set(ENTRIES) == COMBINATORS
    assert set(ENTRIES["residual"].options) == set(RESIDUAL_OPTIONS)
    for word in COMBINATORS - {"residual"}:
        assert tuple(ENTRIES[word].options) == COMBINATOR_OPTIONS[word]


def test_every_key_of_train_has_an_entry() -> None:
    assert set(KEY_PAGES) == TRAIN_KEYS | ONLY_PHASES
    assert all(key(word) for word in TRAIN_KEYS)


def test_every_word_has_a_page() -> None:
    assert set(layer_words()) == {*registry.words(), *COMBINATORS}
    assert all(maths(word) for word in MATHS)
    assert all(page.text and page.signature.startswith(page.word) for page in pages())


def test_every_option_is_explained() -> None:
    """By what it takes, in the words of the refusal, or by a sentence about it."""
    silent = {f"{page.word}.{option.name}" for page in pages() for option in page.options if not option.takes}
    told = {f"{page.word}.{option.name}" for page in pages() for option in page.options if option.text}
    assert silent - told == set()


@pytest.mark.parametrize("example", [entry.example for entry in ENTRIES.values()])
def test_examples_of_combinators_can_be_read(example: str) -> None:
    _, found = parse(Source("x", f"dlspec 1\nblock A {{\n  {example}\n}}\n"))
    assert found == []


@pytest.mark.parametrize("word", sorted(KEY_PAGES))
def test_examples_of_keys_can_be_read(word: str) -> None:
    _, found = parse(Source("x", f"dlspec 1\ntrain A {{\n  {KEY_PAGES[word].example}\n}}\n"))
    assert found == []
    assert KEY_PAGES[word].example.startswith(f"{word} = ")
