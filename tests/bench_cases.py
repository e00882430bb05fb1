"""A spec to measure, and how, for the tests of `dlspec bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dlspec.api.bench import Bench
from dlspec.grammar import Source
from dlspec.runtime.bench.kernels import UseMeasured

CPU = torch.device("cpu")
SPEC = """dlspec 1
context = 32
model GPT: (tokens: int[B, T <= context]) -> (logits: [B, T, 64]) {
  wte: Embedding(64, 32) + wpe: Positions(context, 32)
  blocks: repeat(3) {
    residual(pre = LayerNorm) { attn: SelfAttention(2, causal = true) }
    residual(pre = LayerNorm) { mlp: { Linear(64) -> gelu -> Linear(32) } }
  }
  norm: RMSNorm
  head: Linear(64)
}
train GPT {
  data      = text("input.txt", tokenizer = characters, window = context)
  loss      = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps     = 10
  batch     = 4
}
"""


def written_to(folder: Path) -> Path:
    """With a text to learn from, in which there are 64 different characters."""
    (folder / "input.txt").write_text("".join(map(chr, range(32, 96))) * 20)
    (folder / "gpt.dlspec").write_text(SPEC)
    return folder


def bench(folder: Path, *overrides: str, **options: Any) -> Bench:
    return Bench(Source("gpt.dlspec", SPEC), folder, set=overrides, device="cpu", **options)


def named(found: list[UseMeasured], kind: str) -> list[UseMeasured]:
    return [one for one in found if one.use.entry.kind == kind]
