"""Reading an edited text by its tree before gives what reading all of it gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsp_cases import GPT

from dlspec.editor.reparse import pieces, reparse
from dlspec.grammar import Source, parse, tree

pytestmark = pytest.mark.no_torch

PARTS = ["", " ", "\n", "x", "{", "}", "(", "model ", "\nblock A { }\n", "\ny = 3\n", "# c\n", "🙂", '"']


def spans(file: tree.File) -> list[tuple[type, int, int]]:
    return [(type(node), node.span.start, node.span.end) for node in tree.walk(file)]


def check(before: str, after: str) -> None:
    source = Source("x.dlspec", after)
    found = reparse(parse(Source("x.dlspec", before))[0], source)
    assert all(node.span.source is source for node in tree.walk(found))
    whole, faults = parse(source)
    if not faults:  # where there are some, what can be read of the rest may differ
        assert found == whole
        assert spans(found) == spans(whole)


@settings(max_examples=120)
@given(st.integers(0, len(GPT)), st.integers(0, 30), st.sampled_from(PARTS))
def test_any_edit(at: int, length: int, text: str) -> None:
    edited = GPT[:at] + text + GPT[at + length :]
    check(GPT, edited)
    check(edited, GPT)


@pytest.mark.parametrize("number", range(8))
def test_an_item_more_or_less(number: int) -> None:
    start, end = pieces(GPT)[number % len(pieces(GPT))]
    check(GPT, GPT[:start] + GPT[end:])
    check(GPT[:start] + GPT[end:], GPT)
    check(GPT, GPT[:end] + GPT[start:])


def test_every_spec_that_ships(repo: Path) -> None:
    for file in (repo / "specs").rglob("*.dlspec"):
        text = file.read_text(encoding="utf-8")
        for at in range(0, len(text), 97):
            check(text, f"{text[:at]} {text[at:]}")


def test_from_nothing_and_to_nothing() -> None:
    for text in ("", "dlspec 1\n", "}", "model"):
        check(text, GPT)
        check(GPT, text)


def test_what_the_edit_leaves_alone_is_read_beside_a_fault() -> None:
    broken = GPT.replace("norm: LayerNorm\n", "norm: LayerNorm(\n")
    source = Source("x.dlspec", broken)
    found = reparse(parse(Source("x.dlspec", GPT))[0], source)
    assert [item.name.text for item in found.items if isinstance(item, tree.Block | tree.Model)] == ["Mlp", "GPT"]
    assert {type(item) for item in found.items} >= {tree.Train, tree.Export}
