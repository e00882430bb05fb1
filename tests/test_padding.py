"""Padding and packing change nothing: an example gives the same alone, beside longer ones, and packed with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

SPECS = Path(__file__).resolve().parents[1] / "specs"

PADDED = {
    "bert": ("vocab=300 dim=32 heads=4 depth=2", "SimCSE"),
    "bilstm": ("vocab=300 dim=16 hidden=16", "BiLstm"),
    "roberta": ("vocab=300 dim=32 heads=4 depth=2", "MaskedLM"),
    "seq2seq": ("vocab=300 dim=16 hidden=16", "Seq2Seq"),
    "t5": ("vocab=300 dim=32 heads=4 depth=2", "T5"),
    "transformer": ("vocab=300 dim=32 heads=4 depth=2", "Transformer"),
}
PAD = {"roberta": 1}

PACKED = """dlspec 1

model Packed: (tokens: int[B, T <= 64], document: int[B, T]) -> (logits: [B, T, 60]) {
  tokens -> Embedding(60, 32)
  blocks: repeat(2) {
    residual(pre = RMSNorm) {
      attn: SelfAttention(heads = 4, kv_heads = 2, causal = true, rotary = 10_000, documents = document)
    }
    residual(pre = RMSNorm) { mlp: { Linear(64) -> gelu -> Linear(32) } }
  }
  head: Linear(60)
}
"""


def made(name: str, text: str, overrides: str, model: str) -> Any:
    """The class of `model`, with weights large enough that everything seen matters, in evaluation."""
    artefact = compile(Source(f"{name}.dlspec", text), overrides.split())
    with torch.device("meta"):
        module = getattr(load_text(name, artefact.model_code), model)()
    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    module.init_weights(generator)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return module.eval()


def sentence(length: int, seed: int) -> Tensor:
    """Tokens of which none is a pad, [length]."""
    return torch.randint(3, 60, (length,), generator=torch.Generator().manual_seed(seed))


def outputs(given: Any) -> tuple[Tensor, ...]:
    return given if isinstance(given, tuple) else (given,)


@torch.no_grad()
@pytest.mark.parametrize("name", PADDED)
def test_an_example_gives_the_same_alone_and_padded(name: str) -> None:
    overrides, model = PADDED[name]
    module = made(name, (SPECS / f"{name}.dlspec").read_text(encoding="utf-8"), overrides, model)
    module = module.bert if name == "bert" else module
    pad, lengths = PAD.get(name, 0), (9, 4, 1, 6)
    sentences = [sentence(length, seed) for seed, length in enumerate(lengths)]
    batch = torch.full((len(lengths), max(lengths)), pad)
    for row, tokens in zip(batch, sentences, strict=True):
        row[: len(tokens)] = tokens
    decoded = name in ("seq2seq", "t5", "transformer")
    target = torch.stack([sentence(5, 100 + seed) for seed in range(len(lengths))])
    kinds = torch.zeros_like(batch)

    def run(tokens: Tensor, row: slice) -> tuple[Tensor, ...]:
        if decoded:
            return outputs(module(tokens, target[row]))
        return outputs(module(tokens, kinds[row, : tokens.shape[1]]) if name == "bert" else module(tokens))

    together = run(batch, slice(None))
    for number, tokens in enumerate(sentences):
        alone = run(tokens[None], slice(number, number + 1))
        for ours, theirs in zip(together, alone, strict=True):
            per_token = not decoded and ours.ndim == 3  # what stands at pads is nobody's
            part = ours[number : number + 1, : len(tokens)] if per_token else ours[number : number + 1]
            torch.testing.assert_close(part, theirs, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_documents_give_the_same_alone_and_packed() -> None:
    """Rotary positions are relative, so that it does not matter where in a row a document stands."""
    module = made("packed", PACKED, "", "Packed")
    documents = [sentence(length, seed) for seed, length in enumerate((7, 1, 12, 4))]
    packed = torch.cat(documents)[None]
    which = torch.cat([torch.full((len(tokens),), number) for number, tokens in enumerate(documents)])[None]
    together = module(packed, which)[0].split([len(tokens) for tokens in documents])
    for tokens, ours in zip(documents, together, strict=True):
        alone = module(tokens[None], torch.zeros(1, len(tokens), dtype=torch.long))[0]
        torch.testing.assert_close(ours, alone, rtol=1e-4, atol=2e-5)


@torch.no_grad()
def test_without_documents_packing_would_change_them() -> None:
    """What the test above would see if documents were let through."""
    module = made("packed", PACKED, "", "Packed")
    packed = torch.cat([sentence(7, 0), sentence(5, 1)])[None]
    apart = torch.tensor([[0] * 7 + [1] * 5])
    assert (module(packed, apart) - module(packed, torch.zeros_like(apart)))[0, 7:].abs().max() > 0.1
