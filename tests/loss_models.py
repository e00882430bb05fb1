"""Language models whose last Linear computes the loss, in the ways that differ, for the tests of kernels."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import torch
from cli_cases import command
from torch import Tensor, nn

import dlspec

HEADS = {"plain": "", "without bias": ", bias = false", "tied": ", bias = false, weight = wte.weight"}
VOCAB = 256


def counts(vocab: int) -> list[float]:
    """Of classes: so little that what a mean is divided by is less than 1, and nothing for some."""
    return [(7 * i % 5) / 128 for i in range(vocab)]


COUNTS = counts(VOCAB)
OPTIONS = {
    "plain": "",
    "smoothing and ignore": ", smoothing = 0.1, ignore = 0",
    "z": ", z_loss = 0.01",
    "weights": f", weight = {COUNTS}",
    "sum": ", reduce = sum",
    "all": f", smoothing = 0.1, ignore = 0, z_loss = 0.01, weight = {COUNTS}, reduce = sum",
}


def spec(head: str = "", options: str = "", more: str = "", loss: str = "") -> str:
    return f"""\
dlspec 1
model Lm: (tokens: int[B, T <= 32]) -> (logits: [B, T, {VOCAB}]) {{
  tokens -> wte: Embedding({VOCAB}, 16) -> relu -> head: Linear({VOCAB}{head})
}}
train Lm {{
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = {loss or f"cross_entropy(logits, data.targets{options})"}
  optimizer = AdamW(lr = 1e-2)
  steps = 4
  batch = 4
  kernels = triton
{more}}}
"""


def drawn(module: ModuleType, seed: int = 2) -> nn.Module:
    model = module.Lm()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return model


def batch(B: int = 2, T: int = 20) -> tuple[Tensor, Tensor]:
    """Among the targets are some that do not count, and 0."""
    tokens, targets = torch.randint(0, VOCAB, (2, B, T), generator=torch.Generator().manual_seed(1))
    targets[0, :2], targets[0, 2] = -100, 0
    return tokens, targets


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(3 * loss, list(model.parameters()))]


FUNCTIONS = {
    "soft cap": ("cap(x, limit) = limit * tanh(x / limit)\n", "cap(limit = 2)"),
    "formula": ("", "identity / 2 -> tanh -> 2 * identity"),
    "activation": ("", "gelu"),
    "several": ("half(x) = x / 2\n", "half -> gelu -> 3 * identity"),
    "with kinks": ("bent(x) = max(x, 0) ^ 2 - min(x, 1)\n", "bent"),
}
"""Of each logit, behind the Linear: what a file needs for it, and the stages."""


def with_function(name: str, head: str = "", options: str = "", more: str = "") -> str:
    functions, behind = FUNCTIONS[name]
    text = spec(head, options, more)
    return text.replace("dlspec 1\n", f"dlspec 1\n{functions}").replace(f"{head})\n}}", f"{head}) -> {behind}\n}}")


def hold_training(text: str, folder: Path) -> None:
    """A run with kernels has the losses of one without, bit for bit, is resumed, resumes exactly, and is exported."""
    (folder / "a.txt").write_text("To be, or not to be, that is the question. " * 40, encoding="utf-8")
    path = folder / "lm.dlspec"
    path.write_text(text, encoding="utf-8")
    losses = {}
    for kernels in ("triton", "torch"):
        run = folder / kernels
        dlspec.train(path, run=run, set=[f"train.kernels={kernels}"])
        assert (run / "lm_kernels.py").exists() is (kernels == "triton")
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        losses[kernels] = [record["loss"] for record in records]
    assert losses["triton"] == losses["torch"]
    for words in (["resume", "triton", "--set", "train.steps=6"], ["verify-resume", "lm.dlspec", "--steps", "2"]):
        done = command(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    dlspec.export(folder / "triton", folder / "out")
