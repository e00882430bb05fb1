"""A shape that does not fit is shown with the places that its sizes come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source

pytestmark = pytest.mark.no_torch

SPECS = Path(__file__).parents[1] / "specs"


def only_error(text: str, *overrides: str) -> Diagnostic:
    found = [d for d in analyse(Source("net.dlspec", text), overrides).diagnostics if d.severity == "error"]
    assert len(found) == 1, found
    return found[0]


def damaged(spec: str, old: str, new: str) -> Diagnostic:
    text = (SPECS / f"{spec}.dlspec").read_text(encoding="utf-8")
    assert text.count(old) == 1
    return only_error(text.replace(old, new))


def origins(finding: Diagnostic) -> list[tuple[str, int, str]]:
    return [(text, span.line, span.text) for span, text in finding.labels if "`" in text]


def test_constants_are_shown_where_they_are_given() -> None:
    found = damaged("gpt", "heads   = 12", "heads   = 11")
    assert found.message == "dim (768) does not divide into heads = 11"
    assert origins(found) == [("`dim` is this", 6, "768"), ("`heads` is this", 7, "11")]


def test_one_of_an_override_is_shown_there() -> None:
    found = only_error((SPECS / "gpt.dlspec").read_text(encoding="utf-8"), "heads=11")
    assert [span.source.name for span, text in found.labels if text == "`heads` is this"] == ["--set heads=11"]


NET = """dlspec 1
n = 3
block Net(wide) {{ residual {{ Linear(wide) }} }}
model M: (x: [B, 8]) -> (y: [B, 8]) {{
  {}
}}
"""


def test_a_parameter_is_shown_where_its_only_call_gives_it() -> None:
    assert origins(only_error(NET.format("Net(2 * n)"))) == [("`wide` is given this", 5, "2 * n")]
    assert origins(only_error(NET.format("Net(wide = n)"))) == [("`wide` is given this", 5, "n")]
    assert origins(only_error(NET.format("Net(8)\n  Net(n)"))) == []


def test_a_word_of_the_sentence_is_no_name() -> None:
    body = "SelfAttention(3) -> SelfAttention(heads)"
    text = f"dlspec 1\nheads = 2\nmodel M: (x: [B, T, 8]) -> (y: [B, T, 8]) {{\n  {body}\n}}"
    found = only_error(text)
    assert found.message == "8 does not divide into 3 heads"
    assert origins(found) == []


def test_a_length_that_a_block_halves_is_to_be_changed_in_the_input() -> None:
    found = damaged("unet", "(image: [B, 3, 16 * H,", "(image: [B, 3, 8 * H,")
    assert found.help == "write `16 * H` for `8 * H` in the input: what is a multiple comes back whole"
    assert [(span.text, text) for span, text in found.labels] == [("8 * H", "`H` comes in here")]


def test_an_input_of_another_kind_than_its_data_is_told_once() -> None:
    found = damaged("transformer", "target: int[B, T]", "target: [B, T]")
    assert (found.span.line, [span.text for span, _ in found.labels]) == (18, ["[B, T]"])
    assert [(fix.span.line, fix.text) for fix in found.fixes] == [(17, "int")]
