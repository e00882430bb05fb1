"""What may stand although, here, it does nothing: with other numbers or flows it would. The refusals are on the page
`nothing_is_ignored.md` of the corpus.
"""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

MODEL = "dlspec 1\n{above}\nmodel N: (x: [B, T, 8]) -> (y: [B, T, 8]) {{\n{body}\n}}\n"


def findings(body: str, above: str = "") -> list[str]:
    spec = Source("n.dlspec", MODEL.format(above=above, body=body))
    return [found.code for found in analyse(spec).diagnostics]


@pytest.mark.parametrize(
    ("above", "body"),
    [
        ("block Act(f) { f }\nblock Outer(g) { act: Act(g) }", "Outer(relu)"),
        ("act = relu\nblock Act { act }", "a: Act"),
        ("", "a: repeat(2, index = i) { relu if i < 5 else Linear(8) }"),
        ("depth = 0", "a: repeat(depth) { Linear(8) }\nb: { repeat(depth) { Linear(8) } }"),
    ],
)
def test_a_label_may_name_what_could_hold_modules(above: str, body: str) -> None:
    assert findings(body, above) == []


@pytest.mark.parametrize(
    "body",
    [
        "a: { x: Linear(8) }\nb: { x: Linear(8) }\nrepeat(2) { x: Linear(8) }\nx: Linear(8)",
        "f = residual { a: Linear(8) }\nf\nf",
        "f = a: Linear(8)\nf -> relu -> f",
    ],
)
def test_labels_of_other_levels_and_of_one_flow_are_free(body: str) -> None:
    assert findings(body) == []


@pytest.mark.parametrize(
    "block",
    [
        "block A: [B, T, 8] -> [B, 64, 8] { reshape([B, 64, 8]) }",  # T may be 64
        "block A: [B, T, 8] -> [B, T, 8] { Positions(16, 8) }",  # and 16 at most
        "block A: [B, T, D] -> [B, T, 9] { Linear(8) -> Linear(D) }",
        "block A(heads = 3): [B, T, 8] -> [B, T, 8] { SelfAttention(heads) }",
        "block A(f): [B, T, 8] -> [B, T, 9] { f }",
        "block A: [B, 3, H, W] -> [B, 5] { flatten -> Linear(5) }",
    ],
)
def test_a_block_that_nothing_uses_may_need_what_a_call_would_give(block: str) -> None:
    assert findings("Linear(8)", block) == ["unused-name"]
