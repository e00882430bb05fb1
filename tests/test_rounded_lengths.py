"""`ceil(H / s)` and `floor(H / s)` in a dim are worked out: what a strided layer makes is held against them."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.compiler.semantics.number import Number, Reference, equal, number, operation
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

HALVED = """dlspec 1
block Strided(s): [B, C, H] -> [B, C, ceil(H / s)] { Conv1d(C, 3, stride = s, pad = 1) }
model N: (x: [B, 8, T]) -> (y: [B, 8, LENGTH]) { CALLS }
"""


@pytest.mark.parametrize(
    ("calls", "length"),
    [
        ("Strided(1)", "T"),
        ("Strided(2)", "(T + 1) // 2"),
        ("Strided(3)", "ceil(T / 3)"),
        ("Strided(2) -> Strided(2)", "ceil(T / 4)"),
        ("Strided(2)", "floor((T + 1) / 2)"),
        ("Strided(2)", "(T - 1) // 2 + 1"),
    ],
)
def test_a_true_promise_is_taken(calls: str, length: str) -> None:
    text = HALVED.replace("CALLS", calls).replace("LENGTH", length)
    assert analyse(Source("n.dlspec", text)).diagnostics == []


def test_a_wrong_promise_is_told_in_the_words_of_its_block() -> None:
    text = HALVED.replace("CALLS", "Strided(2)").replace("LENGTH", "T").replace(", stride = s", "")
    found = [d for d in analyse(Source("n.dlspec", text)).diagnostics if d.code == "shape-mismatch"]
    assert [d.message for d in found] == ["what flows out is promised as [B, C, ceil(H / s)], and [B, C, H] flows out"]


def test_what_need_not_be_whole_is_rounded() -> None:
    length: Number = Reference("T", "open")
    root = operation("sqrt", length)
    assert not equal(operation("ceil", root), root)
    assert equal(operation("ceil", length), length)
    assert equal(operation("floor", operation("/", length, number(2))), operation("//", length, number(2)))
