"""With phases, what none of them updates does not learn: that is warned of, unless it is frozen."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

SPEC = """dlspec 1
model N: (tokens: int[B, T <= 8]) -> (logits: [B, T, 256]) {
  wte: Embedding(256, 4)
  blocks: repeat(2) { residual { mlp: Linear(4) } }
  mid: { a: Linear(4) -> Dropout(0.1) -> b: Linear(4) }
  head: Linear(256, weight = wte.weight)
}
train N {
  data = text("*.txt", tokenizer = bytes, window = 8)
  optimizer = SGD(lr = 0.1)
  epochs = 3
  batch = 8%s
  phase one {
    update = [%s]
    loss = cross_entropy(logits, data.targets)
  }
}
"""


def said(update: str, others: str = "") -> list[tuple[str, str, str]]:
    return [(d.severity, d.message, d.help) for d in analyse(Source("n.dlspec", SPEC % (others, update))).diagnostics]


def test_all_that_is_updated_is_nothing_to_tell() -> None:
    assert said("wte, blocks, mid, head") == []
    # The table of `wte` learns where `head` does, which has it too.
    assert said("blocks, mid, head") == []


@pytest.mark.parametrize(
    ("update", "left", "modules"),
    [
        ("blocks.0, head", "`blocks.1`, `mid`: they stay", "blocks.1, mid"),
        ("wte, blocks, mid.a", "`mid.b`, `head.bias`: they stay", "mid.b"),
        ('head, mid, "blocks.*"', "", ""),
        ("head, blocks", "`mid`: it stays", "mid"),
    ],
)
def test_what_no_phase_updates_is_told_and_may_be_frozen(update: str, left: str, modules: str) -> None:
    if not left:
        assert said(update) == []
        return
    message = f"no phase updates {left} as at the beginning"
    assert said(update) == [("warning", message, f"add what learns to an `update`, or write `freeze = [{modules}]`")]
    if "bias" not in left:
        assert said(update, f"\n  freeze = [{modules}]") == []


def test_two_phases_count_together() -> None:
    second = "  phase two {\n    update = [mid]\n    loss = cross_entropy(logits, data.targets)\n  }\n}\n"
    text = (SPEC % ("", "head, blocks")).removesuffix("}\n") + second
    assert analyse(Source("n.dlspec", text)).diagnostics == []
