"""Specs, compiled: the ONNX graph against the emitted PyTorch, and each layer's line from the documentation."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source

torch.set_num_threads(1)

SPECS = {
    "llama": """
        dim = 32
        default residual(pre = RMSNorm)
        default Linear(bias = false)
        block SwiGLU(hidden) { (gate: Linear(hidden) -> silu) * up: Linear(hidden) -> down: Linear(dim) }
        model M: (tokens: int[B, T <= 64]) -> (logits: [B, T, 60]) {
          wte: Embedding(60, dim)
          blocks: repeat(3) {
            residual { attn: SelfAttention(4, kv_heads = 2, causal = true, rotary = 10_000, bias = false) }
            residual { mlp: SwiGLU(2 * dim) }
          }
          norm: RMSNorm
          head: Linear(60, weight = wte.weight)
        }
    """,
    "norms around residuals": """
        model M: (x: [B, T <= 40, 16], y: [B, T, 16]) -> (a: [B, T, 16], b: [B, T]) {
          z = x * 2 + y
          z -> residual(post = LayerNorm) { f: Linear(16) -> relu }
          residual(pre = LayerNorm, out = RMSNorm(offset = 1)) { mlp: { up: Linear(32) -> gelu -> Linear(16) } } as a
          a -> Linear(1) -> flatten as b
        }
    """,
    "copies that differ": """
        model M: (x: [B, 16]) -> (logits: [B, 10]) {
          layers: repeat(3, index = i) { Linear(16 + 4 * i) -> relu }
          split(2) as p, q
          p * q -> -identity + 1
          head: Linear(10) -> log_softmax
        }
    """,
    "a group used three times": """
        model M: (x: [B, T, 16]) -> (y: [B, T, 16]) {
          critic: { l: Linear(16) -> tanh }
          critic
          critic
          (identity ^ 2 + 1e-3) / 2
        }
    """,
    "comparisons": """
        model M: (x: int[B, T], e: [B, T, 8]) -> (y: [B, T, 8], m: bool[B, T]) {
          m = x != 0
          emb = x -> Embedding(60, 8)
          emb + e -> PReLU -> Linear(8) -> softmax as y
        }
    """,
    "rows in multiples": """
        model M: (image: [B, 16 * H, 8]) -> (y: [B, 16 * H, 4]) { Linear(4) }
    """,
    "nothing in evaluation": "model M: (x: [B, 8]) -> (y: [B, 8]) { Dropout(0.2) }",
}
# What the line of a layer gives, where that is not what comes in.
GIVES = {
    "Embedding": "[B, T, 16]",
    "Linear": "[B, 8, 64]",
    "Positions": "[T, 16]",
    "flatten": "[B, 8 * 16]",
    "split": "[B, 8, 8]",
}


def documented(word: str) -> str:
    """A model of the line that the documentation shows."""
    kind = registry.find(word)
    assert kind is not None
    given = GIVES.get(word, kind.example_input)
    return f"model M: (x: {kind.example_input}) -> (y: {given}) {{ {kind.example} }}"


SPECS |= {f"the line of {word}": documented(word) for word in registry.words()}


def feed(session: onnxruntime.InferenceSession, size: int) -> dict[str, np.ndarray]:
    """Inputs whose open dims are `size` long, multiples counted in full."""
    found: dict[str, np.ndarray] = {}
    random = np.random.default_rng(size)
    for port in session.get_inputs():
        dims = [d if isinstance(d, int) else size * int(d.split("*")[0]) if "*" in d else size for d in port.shape]
        floats = "float" in port.type
        found[port.name] = random.standard_normal(dims).astype(np.float32) if floats else random.integers(0, 20, dims)
    return found


def emitted(code: str) -> ModuleType:
    module = ModuleType("emitted")
    sys.modules["emitted"] = module  # dataclasses look their module up
    try:
        exec(code, vars(module))
    finally:
        del sys.modules["emitted"]
    return module


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_gives_one_function_in_both(name: str, tmp_path: Path) -> None:
    artefact = compile(Source("m.dlspec", f"dlspec 1\n{SPECS[name]}\n"))
    model: Any = emitted(artefact.model_code).M()
    model.init_weights(torch.Generator().manual_seed(0))
    model.eval()
    weights = {key: parameter.detach().numpy() for key, parameter in model.named_parameters()}
    path = tmp_path / "m.onnx"
    save(build(artefact.graph, weights, metadata={}), path)
    assert verify_graph(path) == []
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in (1, 3, 8):
        inputs = feed(session, size)
        found = session.run(None, inputs)
        expected = model(*map(torch.from_numpy, inputs.values()))
        for ours, theirs in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
            compare(np.asarray(ours), theirs.detach().numpy())


def compare(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if theirs.dtype == np.float32:
        assert np.abs(ours - theirs).max() <= 2e-6 * np.abs(theirs).max()
    else:
        np.testing.assert_array_equal(ours, theirs)
