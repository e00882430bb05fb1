"""What a plan says of a model against what PyTorch does with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dlspec.compiler.backends.activations import Precision
from dlspec.compiler.backends.plan import Training, largest_batch, layers_together, plan
from dlspec.compiler.backends.pytorch.module import emit_module
from dlspec.compiler.ir.graph import Graph
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

GPT = """dlspec 1
vocab = 31
dim = 16
model GPT: (tokens: int[B, T <= 24]) -> (logits: [B, T, vocab]) {
  wte: Embedding(vocab, dim) + wpe: Positions(24, dim)
  blocks: repeat(3) {
    residual(pre = LayerNorm) { attn: SelfAttention(2, causal = true) }
    residual(pre = LayerNorm) { mlp: { fc: Linear(4 * dim) -> gelu -> proj: Linear(dim) } }
  }
  norm: LayerNorm
  head: Linear(vocab, bias = false, weight = wte.weight)
}
"""
ACTIVATIONS = """dlspec 1
model Net: (x: [B, 8]) -> (y: [B, 5]) {
  Linear(12) -> relu -> Linear(12) -> tanh -> Linear(12) -> sigmoid -> Linear(12) -> silu -> Linear(12) -> elu
  LayerNorm -> leaky_relu(0.1) -> Linear(12) -> softplus -> Linear(12) -> mish -> Linear(12) -> hardswish
  (gate: Linear(6) -> silu) * up: Linear(6)
  Linear(5) -> softmax
}
"""
PICTURES = """dlspec 1
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten
  fc1: Linear(64) -> relu
  fc2: Linear(64) -> relu
  head: Linear(10)
}
"""
INPUTS = {"tokens": lambda b: torch.randint(0, 31, (b, 24)), "x": lambda b: torch.randn(b, 8)}


def graph_of(spec: str) -> Graph:
    analysis = analyse(Source("spec.dlspec", spec))
    assert not analysis.diagnostics, [d.message for d in analysis.diagnostics]
    (graph,) = analysis.graphs.values()
    return graph


def model_of(spec: str) -> nn.Module:
    graph = graph_of(spec)
    model: nn.Module = getattr(load_text("spec", emit_module(graph, "spec.dlspec")), graph.model.name)()
    model.init_weights(torch.Generator().manual_seed(0))  # pyright: ignore[reportCallIssue]
    return model


def bytes_kept_by_autograd(model: nn.Module, x: Tensor) -> int:
    """What the forward pass leaves for the backward pass, each storage once; parameters do not count."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # a freed storage's address would be given again

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(x)
    kept[out.untyped_storage().data_ptr()] = out.untyped_storage().nbytes()
    return sum(kept.values())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("spec", "port", "precision"), [(GPT, "tokens", "fp32"), (GPT, "tokens", "bf16"), (ACTIVATIONS, "x", "fp32")]
)
def test_activations_are_what_autograd_keeps(spec: str, port: str, precision: Precision, batch: int) -> None:
    outputs = batch * (24 * 31 if port == "tokens" else 5)
    loss = 12 * outputs  # what the loss needs besides the output itself
    predicted = plan(graph_of(spec), Training(batch, precision=precision)).memory.activations - loss
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
        assert predicted == bytes_kept_by_autograd(model_of(spec), INPUTS[port](batch))


def test_dropout_keeps_a_byte_an_entry() -> None:
    without = plan(graph_of(PICTURES), Training(7)).memory.activations
    with_dropout = plan(
        graph_of(PICTURES.replace("Linear(64) -> relu", "Linear(64) -> relu -> Dropout(0.1)")), Training(7)
    )
    # What a Linear takes is then the output of the Dropout: 4 bytes an entry more, as the relu keeps its own.
    assert with_dropout.memory.activations - without == 2 * 7 * 64 * (1 + 4)


def test_memory_of_training_is_the_sum_of_its_parts() -> None:
    graph = graph_of(PICTURES)
    memory = plan(graph, Training(64, accumulate=4, moments=2)).memory
    assert (memory.weights, memory.gradients, memory.optimizer) == (4 * 8970, 4 * 8970, 8 * 8970)
    assert memory.activations == plan(graph, Training(16)).memory.activations
    assert memory.peak == memory.weights + memory.gradients + memory.optimizer + memory.activations


def test_moments_are_what_the_optimizer_keeps() -> None:
    """The tensors of a parameter's shape in the state of PyTorch's own optimizers."""
    model = model_of(PICTURES)
    x = torch.randn(2, 1, 8, 8)
    for optimizer, moments in (
        (torch.optim.AdamW(model.parameters()), 2),
        (torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 1),
        (torch.optim.SGD(model.parameters(), lr=0.1), 0),
    ):
        model(x).sum().backward()
        optimizer.step()
        kept = sum(
            tensor.numel()
            for parameter, state in optimizer.state.items()
            for tensor in state.values()
            if isinstance(tensor, Tensor) and tensor.shape == parameter.shape
        )
        assert kept == moments * 8970


@pytest.mark.parametrize("spec", [GPT, PICTURES, ACTIVATIONS])
def test_parameters_are_those_of_the_model(spec: str) -> None:
    costs = plan(graph_of(spec))
    assert costs.parameters == sum(p.numel() for p in model_of(spec).parameters())
    assert costs.parameters == sum(layer.parameters for layer in costs.layers)
    assert costs.parameters == sum(layer.parameters for layer in layers_together(graph_of(spec)))


def test_flops_are_counted_by_hand() -> None:
    costs = plan(graph_of(PICTURES))
    assert costs.flops_per_sample == 2 * (64 * 64 + 64 * 64 + 64 * 10)
    linears = [layer for layer in plan(graph_of(GPT)).layers if layer.type == "Linear"]
    assert [layer.flops for layer in linears] == [*([2 * 24 * 16 * 64] * 6), 2 * 24 * 16 * 31]


def test_shapes_and_names_of_layers() -> None:
    layers = {layer.name: layer for layer in plan(graph_of(GPT)).layers}
    assert layers["blocks.2.mlp.fc"].shape == ("B", "T", 64)
    assert layers["wpe"].shape == ("T", 16)
    assert layers["head"].parameters == 0  # it is wte's
    together = [layer.name for layer in layers_together(graph_of(GPT))]
    assert "blocks.0-2.attn" in together and len(together) == len(set(together))


def test_copies_that_differ_stand_apart() -> None:
    spec = """dlspec 1
model Net: (x: [B, 8]) -> (y: [B, 8]) {
  repeat(4, index = i) { Linear(8 if i < 3 else 4) -> Linear(8) }
}
"""
    together = [layer.name for layer in layers_together(graph_of(spec))]
    assert together == ["layers.0-2.linear", "layers.0-2.linear_2", "layers.3.linear", "layers.3.linear_2"]


def test_a_module_that_runs_twice_is_paid_once() -> None:
    spec = "dlspec 1\nmodel Net: (x: [B, 8]) -> (y: [B, 8]) {\n  fc: Linear(8) -> relu -> fc\n}\n"
    costs = plan(graph_of(spec))
    assert costs.parameters == 72 == sum(layer.parameters for layer in costs.layers)
    assert costs.flops_per_sample == 2 * 2 * 8 * 8


@given(memory=st.integers(0, 10_000_000), precision=st.sampled_from(["fp32", "bf16"]), moments=st.integers(0, 2))
def test_the_largest_batch_is_the_largest(memory: int, precision: Precision, moments: int) -> None:
    graph = graph_of(PICTURES)
    training = Training(precision=precision, moments=moments)
    batch = largest_batch(graph, training, memory)
    assert batch == 0 or plan(graph, replace(training, batch=batch)).memory.peak <= memory
    assert plan(graph, replace(training, batch=batch + 1)).memory.peak > memory


def test_an_open_dim_without_a_limit_is_told() -> None:
    spec = "dlspec 1\nmodel Net: (x: [B, T, 8]) -> (y: [B, T, 4]) {\n  Linear(4)\n}\n"
    costs = plan(graph_of(spec))
    assert costs.unbounded == ("T",) and costs.sizes == {"T": 1}
    bounded = plan(graph_of(spec.replace("T, 8", "T <= 5, 8")))
    assert bounded.unbounded == () and bounded.flops_per_sample == 5 * costs.flops_per_sample


def test_gpt_2_is_exact(repo: Path) -> None:
    spec = repo / "specs" / "gpt.dlspec"
    (graph,) = analyse(Source("gpt.dlspec", spec.read_text(encoding="utf-8"))).graphs.values()
    costs = plan(graph)
    assert costs.parameters == 124_439_808
    assert costs.flops_per_sample == pytest.approx(291.8e9, rel=1e-3)
