"""A model of the next token that sees it is told, where that is certain."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

SPEC = """\
dlspec 1
block Layer: [B, T, D] {{ residual {{ SelfAttention(2) }} }}
block Causal: [B, T, D] {{ residual {{ SelfAttention(2, causal = true) }} }}
model L: ({inputs}) -> (logits: [B, T, 256]) {{
  {body}
  Linear(256)
}}
train L {{
  data      = {data}
  loss      = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 3e-3)
  steps     = 2
  batch     = 8
}}
"""
TEXT, TASK = 'text("a.txt", window = 16)', "task(copy, length = 8, vocab = 256)"
TOKENS, BOTH = "tokens: int[B, T <= 16]", "source: int[B, S <= 16], target: int[B, T <= 16]"
READ = "source -> Embedding(256, 16) -> SelfAttention(2) -> mean(over = 1, keep = true) as m\n  "


def told(body: str, data: str = TEXT, inputs: str = TOKENS) -> list[str]:
    text = SPEC.format(body=body, data=data, inputs=inputs)
    found = [d for d in analyse(Source("a.dlspec", text)).diagnostics if d.code != "unused-name"]
    assert {(d.code, d.severity) for d in found} <= {("sees-its-target", "warning")}, [d.message for d in found]
    for finding in found:
        for fix in finding.fixes:
            mended = text[: fix.span.start] + fix.text + text[fix.span.end :]
            left = [d for d in analyse(Source("a.dlspec", mended)).diagnostics if d.code == "sees-its-target"]
            assert len(left) == len(found) - 1
    return [d.span.text for d in found]


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("Embedding(256, 16) -> SelfAttention(2)", ["SelfAttention(2)"]),
        ("Embedding(256, 16) -> residual { attn: SelfAttention(2) }", ["SelfAttention(2)"]),
        ("Embedding(256, 16) -> repeat(3) { Layer -> Causal }", ["SelfAttention(2)"]),
        ("Embedding(256, 16) -> share(3) { Layer }", ["SelfAttention(2)"]),
        ("Embedding(256, 16) -> checkpoint { LayerNorm -> SelfAttention(2) }", ["SelfAttention(2)"]),
        ("Embedding(256, 16) -> SelfAttention(2, window = 4)", ["SelfAttention(2, window = 4)"]),
        ("Embedding(256, 16) -> GRU(8, bidirectional = true)", ["GRU(8, bidirectional = true)"]),
        (
            "Embedding(256, 16) as x\n  x -> Linear(16) as k\n  x -> Linear(16) -> attend(keys = k, values = k)",
            ["attend(keys = k, values = k)"],
        ),
    ],
)
def test_what_sees_the_next_token_is_told(body: str, seen: list[str]) -> None:
    assert told(body) == seen
    assert told(body, TASK) == seen


def test_only_the_side_that_is_asked_for_counts() -> None:
    data = 'pairs("a.txt", "b.txt", window = 16)'
    right = f"{READ}target -> Embedding(256, 16) -> SelfAttention(2, causal = true) as t\n  t + m"
    assert told(right, data, BOTH) == []
    assert told(right.replace(", causal = true", ""), data, BOTH) == ["SelfAttention(2)"]


@pytest.mark.parametrize(
    "body",
    [
        "Embedding(256, 16) -> SelfAttention(2, causal = true)",
        "Embedding(256, 16) -> repeat(3) { Causal } -> GRU(8)",
        "tokens != 0 as real\n  tokens -> Embedding(256, 16) -> SelfAttention(2, mask = real)",
        "tokens -> RelativeBias(2) as near\n  tokens -> Embedding(256, 16) -> SelfAttention(2, score = near)",
        "Embedding(256, 16) -> SelfAttention(2, window = 1)",
        "Embedding(256, 16) -> roll(1, over = 1) -> SelfAttention(2)",
    ],
)
def test_what_may_be_right_is_not_told(body: str) -> None:
    assert told(body) == []


def test_masked_tokens_may_be_seen() -> None:
    assert told("Embedding(256, 16) -> SelfAttention(2)", f"{TEXT} -> mask_tokens(15%, token = 255)") == []
