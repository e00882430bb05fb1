"""The formatter: one layout, nothing lost, and a second pass that changes nothing."""

from __future__ import annotations

import random
from pathlib import Path

import grammar_trees
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlspec.grammar import Source, format, parse, spell, tree
from dlspec.grammar.lexer import comments

pytestmark = pytest.mark.no_torch


def laid_out(text: str) -> str:
    source = Source("spec.dlspec", text)
    file, findings = parse(source)
    assert findings == []
    return format(file, source)


def check_layout(text: str) -> str:
    """The formatted text, after the properties that hold for every text."""
    file, _ = parse(Source("spec.dlspec", text))
    once = laid_out(text)
    assert parse(Source("once.dlspec", once)) == (file, [])
    assert laid_out(once) == once
    written = sorted(span.text for span in comments(Source("spec.dlspec", text)))
    assert sorted(span.text for span in comments(Source("once.dlspec", once))) == written
    assert once.endswith("\n") and "\n\n\n" not in once and not any(line.endswith(" ") for line in once.splitlines())
    return once


@settings(max_examples=150)
@given(grammar_trees.files)
def test_every_tree_is_printed_as_a_text_that_reads_back_as_the_tree(file: tree.File) -> None:
    text = format(file, Source("nowhere", ""))
    assert parse(Source("printed.dlspec", text)) == (file, [])
    check_layout(text)


@settings(max_examples=150)
@given(grammar_trees.files, st.integers(0, 2**32))
def test_spaces_line_breaks_and_comments_lose_nothing(file: tree.File, seed: int) -> None:
    text = grammar_trees.respaced(format(file, Source("nowhere", "")), random.Random(seed))
    assert parse(Source("respaced.dlspec", text)) == (file, [])
    check_layout(text)
