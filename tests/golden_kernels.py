"""Emitted files with kernels that are kept to be read: by their names in golden/, what gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source

GOLDEN = Path(__file__).parent / "golden"
SPECS = Path(__file__).parents[1] / "specs"

LOSS = """\
dlspec 1
model Lm: (tokens: int[B, T <= 32]) -> (logits: [B, T, 256]) {
  tokens -> wte: Embedding(256, 16) -> relu -> head: Linear(256, bias = false)
}
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-2)
  steps = 4
  batch = 4
}
"""


def _emitted(name: str, text: str) -> dict[str, str]:
    return emit(analyse(Source(f"{name}.dlspec", text), ["train.parallel=none"]), kernels="triton").files


def _of_gpt(file: str) -> str:
    return _emitted("gpt", (SPECS / "gpt.dlspec").read_text(encoding="utf-8"))[file]


FILES: dict[str, Callable[[], str]] = {
    "cross_entropy_kernels.py": lambda: _emitted("net", LOSS)["net_kernels.py"],
    "gpt_with_kernels.py": lambda: _of_gpt("gpt.py"),
    "gpt_kernels.py": lambda: _of_gpt("gpt_kernels.py"),
}
