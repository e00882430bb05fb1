"""Reading an edited text by its tree before gives what reading all of it gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsp_cases import GPT

from dlspec.editor.document import Document
from dlspec.editor.imports import Files
from dlspec.editor.reparse import pieces, read, reparse
from dlspec.grammar import Source, parse, tree

pytestmark = pytest.mark.no_torch

PARTS = ["", " ", "\n", "x", "{", "}", "(", "model ", "\nblock A { }\n", "\ny = 3\n", "# c\n", "🙂", '"']


def spans(file: tree.File) -> list[tuple[type, int, int]]:
    return [(type(node), node.span.start, node.span.end) for node in tree.walk(file)]


def check(before: str, after: str) -> None:
    source = Source("x.dlspec", after)
    reading = reparse(read(Source("x.dlspec", before)), source)
    found = reading.file
    assert all(node.span.source is source for node in tree.walk(found))
    whole, faults = parse(source)
    if reading.sound:
        assert not faults
    if not faults:  # where there are some, what can be read of the rest may differ
        assert found == whole
        assert spans(found) == spans(whole)


@pytest.mark.slow
@settings(max_examples=120)
@given(st.integers(0, len(GPT)), st.integers(0, 30), st.sampled_from(PARTS))
def test_any_edit(at: int, length: int, text: str) -> None:
    edited = GPT[:at] + text + GPT[at + length :]
    check(GPT, edited)
    check(edited, GPT)


# One body with lines of all kinds, among them those that an edit beside them can join or cut in two.
BODY = """dlspec 1
model Net: (x: [B, 8]) -> (y: [B, 8]) {
  a = 2 * (3 + 1)  # four
  (x + x) -> Linear(8)
    -> relu as h

  # A comment (with a bracket.
  (
    h + x
  )
  b: repeat(2) {
    residual { Linear(8) -> gelu }
    [Linear(8), Linear(8)] -> sum
    c: { Linear(8)
      LayerNorm }
  }
  -> Linear(8)
  -> (a + Linear(8)) # a sum
  -> relu -> Linear(8)

  # one more
  -> [Linear(8),
    gelu]
  -> (
    sum
  )
  -> Linear(8)
  -> LayerNorm as i
  Linear(8, bias = false)
  LayerNorm } # behind
block Other { Linear(8) }
"""


@pytest.mark.slow
@settings(max_examples=300)
@given(st.integers(9, len(BODY)), st.integers(0, 12), st.sampled_from([*PARTS, "(", ")", "-> ", "#", "}\n", "{\n"]))
def test_any_edit_of_a_body(at: int, length: int, text: str) -> None:
    edited = BODY[:at] + text + BODY[at + length :]
    check(BODY, edited)
    check(edited, BODY)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(9, len(BODY) - 9), st.sampled_from([*PARTS, "(", ")", "->"])), max_size=6))
def test_one_edit_after_the_other(edits: list[tuple[int, str]]) -> None:
    """As an editor goes on: from the last version that was sound."""
    files = Files()
    document = Document("x", 1, Source("x.dlspec", BODY), "utf-16", files)
    assert document.file.items
    for at, part in [*edits, (0, "")]:
        text = BODY if not at else document.text[:at] + part + document.text[at:]
        document = Document("x", 1, Source("x.dlspec", text), "utf-16", files, document.known)
        whole, faults = parse(document.source)
        if document.reading.sound or not faults:
            assert not faults
            assert document.file == whole
            assert spans(document.file) == spans(whole)
    assert document.reading.sound


@pytest.mark.parametrize("arrow", ["", "-> "])
def test_a_line_of_a_long_body_is_read_alone(monkeypatch: pytest.MonkeyPatch, arrow: str) -> None:
    body = "".join(f"  {arrow}Linear({number}) -> gelu -> Linear(8)\n" for number in range(500))
    text = f"dlspec 1\nmodel Net: (x: [B, 8]) -> [B, 8] {{\n  x\n{body}}}\n"
    known = read(Source("x.dlspec", text))
    lengths: list[int] = []

    def counted(source: Source) -> object:
        lengths.append(len(source.text))
        return parse(source)

    monkeypatch.setattr("dlspec.editor.relines.parse", counted)
    monkeypatch.setattr("dlspec.editor.reparse.parse", counted)
    for typed in ("Linear(2500)", "Linear(250", "Linear(250) -> ", "residual { Linear(250)"):
        source = Source("x.dlspec", text.replace("Linear(250)", typed))
        found = reparse(known, source)
        assert found.sound == (not parse(source)[1])
        model = found.file.items[0]
        assert isinstance(model, tree.Model)
        assert len(list(tree.walk(model))) > 4000
    assert max(lengths) < 200


@pytest.mark.parametrize("number", range(8))
def test_an_item_more_or_less(number: int) -> None:
    start, end = pieces(GPT)[number % len(pieces(GPT))]
    check(GPT, GPT[:start] + GPT[end:])
    check(GPT[:start] + GPT[end:], GPT)
    check(GPT, GPT[:end] + GPT[start:])


@pytest.mark.slow
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
    found = reparse(read(Source("x.dlspec", GPT)), source).file
    assert [item.name.text for item in found.items if isinstance(item, tree.Block | tree.Model)] == ["Mlp", "GPT"]
    assert {type(item) for item in found.items} >= {tree.Train, tree.Export}
