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
from layer_examples import LARGE, SMALL, example, shape, tensor

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.parameters import parameters
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import NoOnnxForm
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.compiler.semantics.tensor import Tensor
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
    "a group used at other lengths": """
        model M: (x: [B, 5, 12], z: [B, T, 12]) -> (y: [B, 7, 12], u: [B, T + 2, 12]) {
          x -> g: { pad(1, after = 0, over = 1) -> SelfAttention(2) -> repeat(2) { Linear(12) -> silu } } -> g as y
          z -> h: { inner: { pad(1, after = 0, over = 1) -> SelfAttention(2) } } -> h as u
        }
    """,
    "zeros around what is pooled": """
        model M: (x: [B, 3, 9, 9]) -> (a: [B, 3, 5, 5], b: [B, 3, 6, 6]) {
          x -> -abs(identity) -> pad(1) as around
          around -> max_pool(3, stride = 2) as a
          around -> avg_pool(2, ceil = true) as b
        }
    """,
    "an axis of one that is rolled": """
        model M: (x: [B, 1, 8], z: [B, T, 8]) -> (y: [B, 1, 8], u: [B, T, 8]) {
          x -> roll(1, over = 1) as y
          z -> roll(-2, over = 1) as u
        }
    """,
    "copies inside copies and experts": """
        model M: (x: [B, 8]) -> (y: [B, 8], z: [B, 8]) {
          x -> g: { h: Linear(8) -> momentum_copy(h, 0.9) } as y
          x -> momentum_copy(g, 0.9) -> experts(2, top = 1) { h: Linear(8) -> momentum_copy(h, 0.9) } as z
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
    "every part of a residual": """
        model M: (x: [B, T, 8]) -> (y: [B, T, 8]) {
          residual(pre = RMSNorm, out = LayerNorm, post = LayerNorm, skip = Linear(8), scale = 0.5, gain = 0.3,
                   layer_scale = 0.2, drop = 0.1, drop_path = 0.1) { mlp: Linear(8) -> tanh }
          residual(gate = Linear(8) -> sigmoid) { checkpoint { f: Linear(8) } }
        }
    """,
    "loops, branches and modules used elsewhere": """
        sq(x) = max(x, 0) ^ 2
        cap(x, limit = 30) = limit * tanh(sq(x) / limit)
        model Inner: (z: [B, T, 8]) -> (a: [B, T, 8], b: [B, T, 4]) {
          l: Linear(8) as a
          Linear(4) as b
        }
        model M: (x: [B, T, 8]) -> (y: [B, T, 8]) {
          w: Linear(8)
          share(3) { f: Linear(8) -> cap(limit = 3) }
          dense { Linear(4) }
          [Linear(5), Linear(3) -> sq] -> concat
          inner: Inner
          part: { g: Linear(8) -> w -> h: Linear(8, weight = g.weight) }
          repeat(2) { residual { w } }
          part.h -> exp -> min(identity, 3) -> max(identity, 0.5) -> sqrt -> abs -> log -> sin -> cos
          floor(100 * identity) -> ceil -> round_up(identity, 8)
        }
    """,
    "modules used again, with what else they take": """
        model M: (x: [B, T, 8], m: [B, T, 8]) -> (y: [B, T, 8]) {
          x -> a: { b: { f: Linear(8) * m -> tanh } -> relu }
          a.b
          blocks: repeat(2) { part: { see: CrossAttention(2, memory = m) } }
          c: { a.b -> blocks.1.part.see -> Linear(8) }
          blocks.0
          blocks
        }
    """,
    "experts": """
        model M: (x: [B, T, 8], z: [B, 8]) -> (y: [B, T, 8], w: [B, 3]) {
          x -> residual(pre = LayerNorm) { moe: experts(5, top = 2) { up: Linear(9) -> gelu -> Linear(8) } } as y
          z -> one: experts(3, top = 1, balance = 0) { Linear(8) -> relu }
          one
          experts(2, top = 2) { norm: LayerNorm -> Linear(3) } as w
        }
    """,
    "weights shared in and around experts and copies": """
        model M: (tokens: int[B, T]) -> (y: [B, T, 20]) {
          word: Embedding(20, 8)
          moe: experts(2) { a: Linear(8) -> b: Linear(8, weight = a.weight) }
          net: {
            up: Linear(20, weight = word.weight) -> down: Linear(8)
            blocks: repeat(2) { c: Linear(8) -> d: Linear(8, weight = c.weight) }
          }
          momentum_copy(net, 0.9)
          last: experts(2, top = 1) { head: Linear(20, weight = word.weight) }
        }
    """,
    "momentum copies": """
        model M: (x: [B, T, 8], m: [B, T, 8]) -> (y: [B, T, 8]) {
          x -> net: { Linear(8) -> inner: { LayerNorm * m } -> blocks: repeat(2) { Linear(8) } }
          slow: momentum_copy(net, 0.9)
          fc: Linear(8)
          see: CrossAttention(2, memory = m)
          momentum_copy(fc, 0.5) -> momentum_copy(see, 0.5)
          again: { slow -> Linear(8) }
        }
    """,
    "nothing in evaluation": "model M: (x: [B, 8]) -> (y: [B, 8]) { Dropout(0.2) }",
}


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
    model, session = both(artefact, "M", tmp_path)
    for size in (1, 3, 8):
        agree(model, session, feed(session, size))


RANDOM = {"normal", "sample_normal"}
"""Sources of random numbers: no two programs draw the same."""


@pytest.mark.parametrize("word", [word for word in registry.words() if word not in RANDOM])
def test_the_line_of_a_layer_gives_one_function_in_both(word: str, tmp_path: Path) -> None:
    artefact = example(word)
    try:
        model, session = both(artefact, "Example", tmp_path)
    except NoOnnxForm as missing:
        pytest.skip(f"this version has no ONNX form of {missing}")
    types = {value.name: tensor(value.type) for value in artefact.graph.model.inputs}
    for seed, sizes in enumerate((SMALL, LARGE)):
        inputs = {port.name: values(types[port.name], sizes, seed) for port in session.get_inputs()}
        agree(model, session, inputs)


def values(type: Tensor, sizes: Sizes, seed: int) -> np.ndarray:
    """Numbers of a type: whole ones are small, and as lengths, positions and documents any of them will do."""
    random = np.random.default_rng(seed)
    dims = shape(type, sizes)
    if type.dtype == "float":
        return random.standard_normal(dims).astype(np.float32)
    return random.integers(1, 5, dims) if type.dtype == "int" else random.random(dims) < 0.7


def both(artefact: Artefact, model_class: str, folder: Path) -> tuple[Any, onnxruntime.InferenceSession]:
    """The emitted model, and the ONNX file of its weights."""
    model: Any = getattr(emitted(artefact.model_code), model_class)()
    model.init_weights(torch.Generator().manual_seed(0))
    model.eval()
    known = parameters(artefact.graph).shapes
    weights = {key: tensor.detach().numpy() for key, tensor in model.state_dict().items() if key in known}
    path = folder / "m.onnx"
    save(build(artefact.graph, weights, metadata={}), path)
    assert verify_graph(path) == []
    return model, onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def agree(model: Any, session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray]) -> None:
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
