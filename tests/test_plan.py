"""What a plan says of a model against what PyTorch does with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dlspec.cli.recipe_costs import training_of
from dlspec.compiler.backends.activations import Setting, tape
from dlspec.compiler.backends.cudnn import work
from dlspec.compiler.backends.plan import Precision, Training, largest_batch, layers_together, plan
from dlspec.compiler.backends.pytorch.module import emit_module
from dlspec.compiler.backends.sizes import Sizes
from dlspec.compiler.backends.tape import Buffer, Step, peak
from dlspec.compiler.ir.graph import Graph
from dlspec.compiler.layers.kept import Device
from dlspec.compiler.pipeline import analyse
from dlspec.compiler.semantics.number import number
from dlspec.compiler.training.optimizer import Optimizer
from dlspec.compiler.training.registry import find, words
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
    assert not analysis.failed, [d.message for d in analysis.diagnostics]
    (graph,) = analysis.graphs.values()
    return graph


def model_of(spec: str) -> nn.Module:
    graph = graph_of(spec)
    model: nn.Module = getattr(load_text("spec", emit_module(graph, "spec.dlspec")), graph.model.name)()
    model.init_weights(torch.Generator().manual_seed(0))  # pyright: ignore[reportCallIssue]
    return model


def bytes_kept_by_autograd(model: nn.Module, *inputs: Tensor) -> int:
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
        alive.append(model(*inputs))
    return sum(kept.values())


def bytes_kept(spec: str, sizes: dict[str, int], compute: int = 4) -> int:
    """The same as a plan has it, the loss left out."""
    steps = tape(graph_of(spec), Setting(Sizes(sizes), compute, "cpu"))[:-2]
    return sum(buffer.bytes for buffer in {buffer for step in steps for buffer in step.kept})


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("spec", "port", "precision"), [(GPT, "tokens", "fp32"), (GPT, "tokens", "bf16"), (ACTIVATIONS, "x", "fp32")]
)
def test_what_is_kept_is_what_autograd_keeps(spec: str, port: str, precision: Precision, batch: int) -> None:
    predicted = bytes_kept(spec, {"B": batch, "T": 24}, 2 if precision == "bf16" else 4)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
        assert predicted == bytes_kept_by_autograd(model_of(spec), INPUTS[port](batch))


def test_dropout_keeps_a_mask() -> None:
    """Truth values on CUDA; on a CPU PyTorch draws floats."""
    dropped = PICTURES.replace("Linear(64) -> relu", "Linear(64) -> relu -> Dropout(0.1)")
    widths: dict[Device, int] = {"cpu": 4, "cuda": 1}
    for device, width in widths.items():
        without, with_dropout = (
            sum(b.bytes for step in tape(graph_of(spec), Setting(Sizes({"B": 7}), 4, device)) for b in set(step.kept))
            for spec in (PICTURES, dropped)
        )
        # What a Linear takes is then the output of the Dropout: no longer what the relu keeps.
        assert with_dropout - without == 2 * 7 * 64 * width


def test_memory_is_no_more_than_the_sum_of_its_parts() -> None:
    graph = graph_of(PICTURES)
    memory = plan(graph, Training(64, accumulate=4, moments=2)).memory
    assert (memory.weights, memory.gradients, memory.optimizer) == (4 * 8970, 4 * 8970, 8 * 8970)
    # In later parts of a batch all gradients are there all the time.
    assert memory.peak == memory.weights + memory.gradients + memory.optimizer + max(memory.activations, 8 * 64 * 64)
    whole = plan(graph, Training(64, moments=2)).memory
    assert whole.activations < whole.peak < whole.weights + whole.gradients + whole.optimizer + whole.activations


def test_what_is_frozen_has_no_gradients_and_nothing_is_kept_before_what_learns() -> None:
    graph = graph_of(PICTURES)
    frozen = frozenset({"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"})
    costs = plan(graph, Training(64, moments=2, frozen=frozen))
    assert (costs.parameters, costs.trainable_parameters) == (8970, 650)
    assert (costs.memory.weights, costs.memory.gradients, costs.memory.optimizer) == (4 * 8970, 4 * 650, 8 * 650)
    all_of_it = plan(graph, Training(64, moments=2)).memory
    assert costs.memory.activations < all_of_it.activations / 2
    assert plan(graph, Training(64, frozen=frozen | {"head.weight", "head.bias"})).memory.activations == 0


def test_an_average_of_the_weights_doubles_them() -> None:
    graph = graph_of(PICTURES)
    assert plan(graph, Training(averages=True)).memory.weights == 2 * plan(graph).memory.weights


def test_running_statistics_are_weights_and_no_parameters() -> None:
    spec = "dlspec 1\nmodel Net: (x: [B, 8, 6, 6]) -> (y: [B, 8, 6, 6]) {\n  BatchNorm\n}\n"
    costs = plan(graph_of(spec))
    assert costs.parameters == 16
    assert costs.memory.weights > 4 * 16


def body(lines: str) -> str:
    return f"dlspec 1\nmodel Net: (x: [B, 16]) -> (y: [B, 16]) {{\n{lines}\n}}\n"


def test_a_checkpoint_keeps_what_comes_in_and_takes_one_region_at_a_time() -> None:
    inner = "Linear(64) -> relu -> Linear(16) -> relu"
    plain = plan(graph_of(body(f"repeat(8) {{ {inner} }}")), Training(100)).memory
    saved = plan(graph_of(body(f"repeat(8) {{ checkpoint {{ {inner} }} }}")), Training(100)).memory
    entering, inside = 4 * 100 * 16, 4 * 100 * (64 + 16)
    assert plain.activations >= 8 * inside
    assert 8 * entering + inside <= saved.activations <= 9 * entering + 3 * inside


def test_a_shared_loop_keeps_every_round_and_has_one_set_of_weights() -> None:
    once, thrice = (graph_of(body(f"share({n}) {{ Linear(16) -> tanh }}")) for n in (1, 3))
    assert plan(once).parameters == plan(thrice).parameters == 16 * 16 + 16
    assert plan(thrice).flops_per_sample == 3 * plan(once).flops_per_sample
    assert (
        plan(thrice, Training(50)).memory.activations == plan(once, Training(50)).memory.activations + 2 * 4 * 50 * 16
    )


def test_experts_see_their_share_of_the_tokens() -> None:
    expert = "experts({}, top = 2) {{ Linear(64) -> relu -> Linear(16) }}"
    spec = f"dlspec 1\nmodel Net: (x: [B, T <= 10, 16]) -> (y: [B, T, 16]) {{{{\n  {expert}\n}}}}\n"
    four, eight = (plan(graph_of(spec.format(n)), Training(10)) for n in (4, 8))
    weights = 16 * 64 + 64 + 64 * 16 + 16 + 16  # of an expert, and its row of the router
    assert (four.parameters, eight.parameters) == (4 * weights, 8 * weights)
    per_token = 2 * 2 * 2 * 16 * 64
    assert four.flops_per_sample == 10 * (per_token + 2 * 16 * 4)
    assert eight.flops_per_sample == 10 * (per_token + 2 * 16 * 8)


def test_a_momentum_copy_is_weights_without_gradients() -> None:
    spec = (
        "dlspec 1\nmodel Net: (x: [B, 16]) -> (y: [B, 16], z: [B, 16]) {\n"
        "  x -> fc: Linear(16) as y\n  x -> momentum_copy(fc, 0.999) as z\n}\n"
    )
    costs = plan(graph_of(spec), Training(moments=1))
    assert costs.parameters == costs.trainable_parameters == 272
    assert (costs.memory.weights, costs.memory.gradients, costs.memory.optimizer) == (8 * 272, 4 * 272, 4 * 272)


# --- CUDA ----------------------------------------------------------------------------------------------------------


def recorded_on_a_gpu() -> list[dict[str, Any]]:
    path = Path(__file__).parent.parent / "benchmarks" / "results" / "memory_cuda.json"
    return json.loads(path.read_text(encoding="utf-8"))[-1]["systems"]


@pytest.mark.parametrize("found", recorded_on_a_gpu(), ids=lambda found: f"{found['system']} x {found['batch']}")
def test_a_gpus_recorded_peaks_are_planned(found: dict[str, Any], repo: Path) -> None:
    spec = repo / "specs" / f"{found['spec']}.dlspec"
    overrides = (*found["overrides"], f"train.batch={found['batch']}")
    analysis = analyse(Source(spec.name, spec.read_text(encoding="utf-8")), overrides)
    (graph,), (recipe,) = analysis.graphs.values(), analysis.plans.values()
    peak = plan(graph, training_of(graph, recipe, None, "cuda")).memory.peak
    assert peak == pytest.approx(found["measured"], rel=0.05)


@pytest.mark.parametrize(
    ("batch", "channels", "side", "forward", "backward"),
    [
        (32, 64, 56, 0, 116.2),
        (64, 64, 56, 0, 231.8),
        (128, 64, 56, 0, 463.0),
        (32, 128, 28, 178.8, 106.4),
        (64, 128, 28, 214.5, 142.0),
        (128, 128, 28, 285.8, 233.6),
        (32, 256, 14, 0, 47.2),
        (64, 256, 14, 191.1, 425.5),
        (128, 256, 14, 228.9, 567.0),
        (32, 512, 7, 0, 56.6),
        (64, 512, 7, 0, 75.5),
        (128, 512, 7, 765.5, 113.2),
    ],
)
def test_a_convolution_takes_what_cudnn_took(
    batch: int, channels: int, side: int, forward: float, backward: float
) -> None:
    """Megabytes of workspace in ResNet-18, float32 on an H200."""
    shape = (batch, channels, side, side)
    said = work(shape, (channels, channels, 3, 3), shape, width=4, tensor_cores=False)
    assert said.forward / 1e6 == pytest.approx(forward, rel=0.02)
    assert said.backward / 1e6 == pytest.approx(backward, rel=0.02)


def test_convolutions_on_tensor_cores_are_copied() -> None:
    spec = "dlspec 1\nmodel Net: (x: [B, 8, 6, 6]) -> (y: [B, 16, 6, 6]) {\n  Conv2d(16, kernel = 1)\n}\n"
    graph, sizes = graph_of(spec), Sizes({"B": 3})
    copies = 3 * 8 * 36 + 8 * 16 + 3 * 16 * 36
    for setting, width in (
        (Setting(sizes, 2, "cuda"), 2),
        (Setting(sizes, 4, "cuda", tf32=True), 4),
        (Setting(sizes, 4, "cuda"), 0),
        (Setting(sizes, 2, "cpu"), 0),
    ):
        (step,) = (step for step in tape(graph, setting) if "conv2d.weight" in step.weights)
        assert step.forward_work == width * copies


def test_on_cuda_kernels_add_the_gradient_of_queries_up_in_float32() -> None:
    def work_of_attention(device: Device) -> int:
        steps = tape(graph_of(GPT), Setting(Sizes({"B": 2, "T": 24}), 4, device))
        return next(step.work for step in steps if any(key.endswith("attn.q.weight") for key in step.weights))

    assert work_of_attention("cuda") - work_of_attention("cpu") == 4 * 2 * 24 * 16


def test_what_feeds_a_batch_holds_it_to_the_end() -> None:
    """With bf16 a Linear keeps what comes in as two bytes a number; the batch itself stays all the same."""
    first, *_ = tape(graph_of(PICTURES), Setting(Sizes({"B": 7}), 2, "cpu"))
    assert [buffer.bytes for buffer in first.kept] == [4 * 7 * 64]


# --- the tape -------------------------------------------------------------------------------------------------------


def test_a_chain_frees_behind_itself() -> None:
    """Three operations on 10 numbers, each keeping what comes in: what is kept, and two gradients at once."""
    a, b, c, d = (Buffer(10, 4, trained=True) for _ in range(4))
    found = peak([Step([x], [y], [x]) for x, y in ((a, b), (b, c), (c, d))])
    assert found.total == 3 * 40 + 2 * 40


def test_a_sum_passes_its_gradient_on_without_memory() -> None:
    a, b, c = (Buffer(10, 4, trained=True) for _ in range(3))
    assert peak([Step([a, b], [c], passes=True)]).total == 3 * 40  # forward: both sides and their sum
    assert peak([Step([a], [b], [a]), Step([a, b], [c], passes=True)]).total == 3 * 40


def test_gradients_of_weights_come_as_activations_go() -> None:
    x, y, z = (Buffer(10, 4, trained=True) for _ in range(3))
    steps = [Step([x], [y], [x], {"a": 1000}), Step([y], [z], [y], {"b": 600})]
    assert (peak(steps).total, peak(steps).gradients) == (1600 + 40 + 2 * 40, 1600)
    # Where they are there from an earlier part, one of each is made anew before it is added.
    assert peak(steps, gradients_there=1600).total == 1600 + 1000 + 40 + 2 * 40


def test_a_weight_used_twice_has_its_gradient_once() -> None:
    x, y, z = (Buffer(10, 4, trained=True) for _ in range(3))
    steps = [Step([x], [y], [x], {"a": 1000}), Step([y], [z], [y], {"a": 1000})]
    assert peak(steps).total == 2000 + 40 + 2 * 40  # the second is there until it is added


def test_muon_keeps_one_moment_of_inner_matrices_and_two_of_the_rest() -> None:
    """And a phase what its own optimizer keeps."""
    source = """\
dlspec 1
model Lm: (tokens: int[B, T <= 8]) -> (logits: [B, T, 20]) {
  Embedding(20, 16) -> inner: Linear(16) -> relu -> head: Linear(20)
}
train Lm {
  data = text("a.txt", tokenizer = characters, window = 8)
  optimizer = Muon(lr = 0.02)
  steps = 1
  batch = 1
"""
    one, all_of_it = "  loss = mse(logits, 0)\n}\n", 20 * 16 + 16 * 16 + 16 + 16 * 20 + 20
    two = """\
  phase first { update = [inner]
  loss = mse(logits, 0) }
  phase last { update = [head]
  loss = mse(logits, 0)
  optimizer = SGD(lr = 0.1) }
}
"""
    for rest, kept in ((one, 2 * all_of_it - 16 * 16), (two, 16 * 16 + 2 * 16)):
        analysis = analyse(Source("a.dlspec", source + rest))
        graph, recipe = analysis.graphs["Lm"], analysis.plans["Lm"]
        assert plan(graph, training_of(graph, recipe, None, "cpu")).memory.optimizer == 4 * kept


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


def test_adafactor_keeps_the_sums_of_rows_and_columns() -> None:
    """All that is in the state of PyTorch's own, but the counts of steps."""
    spec = PICTURES.replace("  flatten", "  Conv2d(4, kernel = 3, pad = 1) -> Conv2d(1, kernel = 1)\n  flatten", 1)
    model = model_of(spec)
    optimizer = torch.optim.Adafactor(model.parameters())
    model(torch.randn(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    kept = sum(tensor.numel() for state in optimizer.state.values() for name, tensor in state.items() if name != "step")
    assert {parameter.dim() for parameter in model.parameters()} == {1, 2, 4}
    graph = graph_of(spec)
    costs = plan(graph, Training(factored=True))
    assert costs.memory.optimizer == 4 * kept
    largest = max(parameter.numel() for parameter in model.parameters())
    memory = costs.memory
    assert memory.peak == memory.weights + memory.gradients + memory.optimizer + 2 * 4 * largest
    frozen = frozenset(name for name, _ in model.named_parameters())
    assert plan(graph, Training(factored=True, frozen=frozen)).memory.optimizer == 0


def test_a_fused_update_takes_no_memory_of_its_own() -> None:
    graph = graph_of(PICTURES)
    step_by_step, fused = (plan(graph, Training(moments=2, fused=fused)).memory for fused in (False, True))
    held = fused.weights + fused.gradients + fused.optimizer
    assert step_by_step.peak == held + 2 * 4 * 64 * 64  # both moments of the largest matrix
    assert held <= fused.peak < step_by_step.peak


def test_what_is_said_to_be_fused_is_emitted_so() -> None:
    kinds = [kind for word in words("optimizers") if (kind := find("optimizers", word, Optimizer)) and kind.runs]
    assert len(kinds) > 5
    for kind in kinds:
        _, arguments = kind(lr=number(1)).constructor()
        assert kind.fused == ("fused=True" in arguments), kind.word


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
