"""Emitted models against twins that were written by hand in another style, with the same weights.

Outputs and every parameter gradient: 1e-10 in fp64, 1e-5 relative in fp32.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime.program import Program


def emitted_model(path: Path, overrides: list[str]) -> nn.Module:
    artefact = compile(Source(path.name, path.read_text(encoding="utf-8")), overrides)
    assert artefact.recipe_code is not None
    assert artefact.settings is not None
    return Program(artefact.name, artefact.model_code, artefact.recipe_code, artefact.settings).make_model()


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention by the formula."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(-1) @ v


def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def gpt_twin(p: dict[str, Tensor], tokens: Tensor, heads: int, depth: int) -> Tensor:
    """GPT-2 as a function of its parameters (Radford et al. 2019)."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def split(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], heads, -1).permute(0, 2, 1, 3)

    x = p["wte.weight"][tokens] + p["wpe.weight"][torch.arange(tokens.shape[1])]
    for i in range(depth):
        b = f"blocks.{i}"
        h = norm(x, p[f"{b}.attn_norm.weight"], p[f"{b}.attn_norm.bias"])
        mixed = attention(*(split(linear(h, f"{b}.attn.{n}")) for n in "qkv"))
        x = x + linear(mixed.permute(0, 2, 1, 3).reshape(x.shape), f"{b}.attn.o")
        h = linear(norm(x, p[f"{b}.mlp_norm.weight"], p[f"{b}.mlp_norm.bias"]), f"{b}.mlp.fc")
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        x = x + linear(h, f"{b}.mlp.proj")
    return norm(x, p["norm.weight"], p["norm.bias"]) @ p["wte.weight"].T


def mlp_twin(p: dict[str, Tensor], image: Tensor) -> Tensor:
    x = image.reshape(len(image), -1)
    for name in ("fc1", "fc2"):
        x = (x @ p[f"{name}.weight"].T + p[f"{name}.bias"]).clamp(min=0)
    return x @ p["head.weight"].T + p["head.bias"]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_gpt_equals_its_twin(repo: Path, dtype: torch.dtype, tolerance: float) -> None:
    small = ["vocab=300", "context=33", "dim=48", "heads=4", "depth=3", "drop=0", "train.parallel=none"]
    model = emitted_model(repo / "specs" / "gpt.dlspec", small).to(dtype)
    tokens = torch.randint(300, (3, 33), generator=torch.Generator().manual_seed(0))
    _compare(model, (tokens,), lambda p: gpt_twin(p, tokens, heads=4, depth=3), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_mlp_equals_its_twin(repo: Path, dtype: torch.dtype, tolerance: float) -> None:
    model = emitted_model(repo / "specs" / "digits.dlspec", []).to(dtype)
    image = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    _compare(model, (image,), lambda p: mlp_twin(p, image), tolerance)


def _compare(model: nn.Module, inputs: tuple[Tensor, ...], twin, tolerance: float) -> None:
    """Outputs and gradients of a random linear functional of them, relative to the largest entry of each."""
    mine = dict(model.named_parameters())
    theirs = {name: p.detach().clone().requires_grad_() for name, p in mine.items()}
    out, expected = model(*inputs), twin(theirs)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    pairs = {"output": (out, expected)} | {n: (mine[n].grad, theirs[n].grad) for n in mine}
    for name, (a, b) in pairs.items():
        assert a is not None, name
        assert b is not None, name
        assert (a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1), name
