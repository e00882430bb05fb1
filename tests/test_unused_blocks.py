"""Blocks that nothing uses are told what is wrong in them whatever they are given, and that nothing uses them."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

MODEL = "model Net: (x: [B, 8]) -> (y: [B, 8]) {\n  Linear(8)\n}\n"
FAULTS = {
    "nn.Linear(8)": "unknown-name",
    "torch.relu": "unknown-name",
    "x.y": "unknown-name",
    "self.x": "unknown-name",
    "Linear()": "missing-option",
    "CrossAttention(2)": "missing-option",
    "a: Linear(8) -> a: Linear(8)": "repeated-label",
    "l: relu": "label-without-module",
    "l: { relu }": "label-without-module",
    "Linear(8) as h": "unused-name",
    "Linear(8, weight = q.weight)": "unknown-weight",
    "Linear(8, weight = 3)": "bad-tie",
    "repeat { Linear(8) }": "missing-option",
    "share { Linear(8) }": "missing-option",
    "repeat(2, index = 3) { Linear(8) }": "wrong-value",
    "experts(2, top = 3) { Linear(8) }": "wrong-value",
    "dense(Linear(8))": "missing-body",
    "identity + none": "not-a-flow",
    "[Linear(8), Linear(8)] -> relu": "lost-value",
}
# Right in some call: what a parameter is, nobody knows.
RIGHT = [
    "l: f -> Linear(n)",
    "l: { f } -> Linear(8, bias = b)",
    "h = f\n  h -> Linear(8)",
    "repeat(n, index = i) { l: Linear(8) if i > 0 else relu }",
    "residual(post = LayerNorm, scale = deepnorm) { f }",
    "relu if b else tanh",
    "a: repeat(n) { inner: Linear(8) }\n  a.0.inner",
    "n * identity",
    "Pair as u, v\n  u + v",
    "Handed(f = f) -> a: Handed(relu)\n  Linear(8, weight = a.l.weight)",
]
OTHERS = """block Pair: [B, D] -> (a: [B, D], b: [B, D]) {
  tanh as a
  relu as b
}
block Handed(f) {
  l: Linear(8) -> f
}
"""


def told(text: str, severity: str = "error") -> list[tuple[int, str]]:
    found = analyse(Source("n.dlspec", f"dlspec 1\n{text}")).diagnostics
    return [(d.span.line, d.code) for d in found if d.severity == severity]


@pytest.mark.parametrize(("line", "code"), FAULTS.items())
@pytest.mark.parametrize("signature", ["", ": [B, 8] -> [B, 8]", ": [B, T, D] -> [B, T, 8]"])
@pytest.mark.parametrize("model", ["", MODEL], ids=["library", "beside a model"])
def test_a_fault_that_no_call_could_mend_is_told(line: str, code: str, signature: str, model: str) -> None:
    assert told(f"block Unused{signature} {{\n  {line}\n  Linear(8)\n}}\n{model}") == [(3, code)]


@pytest.mark.parametrize("lines", RIGHT)
def test_what_some_call_makes_right_is_not_told(lines: str) -> None:
    used = "f -> Linear(n, bias = b)"
    assert told(f"{OTHERS}block Unused(f, n, b) {{\n  {lines}\n  {used}\n}}\n{MODEL}") == []


def test_each_block_is_told_its_own_fault_once() -> None:
    """Whichever of them calls which."""
    blocks = "".join(f"block B{i} {{\n  B{i - 1} -> Linear() -> B{i - 1}\n}}\n" for i in range(1, 30))
    text = f"block B0 {{\n  Linear()\n}}\n{blocks}"
    assert told(text) == [(3 + 3 * i, "missing-option") for i in range(30)]


def test_a_block_in_itself_is_told_its_other_faults() -> None:
    assert told(f"block R {{\n  Linear()\n  R\n}}\n{MODEL}") == [(3, "missing-option"), (4, "endless-block")]


def test_that_nothing_uses_a_block_is_told_beside_an_error() -> None:
    spare = "block Spare {\n  relu\n}\n"
    assert told(spare + MODEL, "warning") == [(2, "unused-name")]
    assert told(spare + MODEL.replace("Linear(8)", "Liner(8)"), "warning") == [(2, "unused-name")]


def test_a_block_that_an_error_offers_is_not_said_to_be_unused() -> None:
    text = "block Spare {\n  Linear(8)\n}\n" + MODEL.replace("Linear(8)", "Spaer")
    assert told(text) == [(6, "unknown-layer")]
    assert told(text, "warning") == []
