"""Numbers in emitted classes: their arguments have names of their own, and what is added again is counted."""

from __future__ import annotations

import pytest
import torch

from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

NESTED = """dlspec 1
block Level(width, inner) { down: Linear(width) -> inner -> up: Linear(width) }
model Net: (x: [B, 6]) -> (y: [B, 5]) { Level(5, inner = Level(4, inner = Level(3, inner = Linear(2)))) }
"""
ALIKE = """dlspec 1
block Pair(c): [B, C] -> [B, C] { down: Linear(c) -> up: Linear(C) }
model Net: (x: [B, 6]) -> (y: [B, 7]) { Pair(3) -> Pair(4) -> Linear(7) -> Pair(2) }
"""


@pytest.mark.parametrize(
    ("text", "says", "width"), [(NESTED, "in_features: int, width: int", 5), (ALIKE, "c: int, c_2: int", 7)]
)
def test_two_numbers_of_one_name(text: str, says: str, width: int) -> None:
    """A parameter and that of the caller, a parameter and an axis."""
    artefact = compile(Source("net.dlspec", text))
    assert f"def __init__(self, {says}) -> None:" in artefact.model_code
    model = load_text("net", artefact.model_code).Net()  # type: ignore[attr-defined]
    assert model(torch.zeros(2, 6)).shape == (2, width)


def test_widths_that_grow_are_counted() -> None:
    text = """dlspec 1
growth = 3
model Net: (x: [B, 6]) -> (y: [B, 1]) {
  repeat(4) { dense { Linear(growth) } }
  [identity, Linear(2), Linear(1)] -> concat
  Linear(1)
}
"""
    code = compile(Source("net.dlspec", text)).model_code
    assert "Layer(config, in_features=6 + 3 * config.growth)" in code
    assert "nn.Linear(6 + 4 * config.growth + 3, 1)" in code
    assert load_text("net", code).Net()(torch.zeros(2, 6)).shape == (2, 1)  # type: ignore[attr-defined]
