"""Modules made in a layer's argument lie inside it: their keys, the emitted classes, scripted and in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from dlspec import check
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.ir.weights import module_paths, parameter_count, weights
from dlspec.compiler.pipeline import Artefact, analyse, compile
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

HEADER = """\
dlspec 1
width = 12
std = 0.3
tilt(s, q, k, h, slope, lift = 0) = s - slope * abs(q - k) + lift
"""
PROJECTIONS = [f"{matrix}.{part}" for matrix in "qkvo" for part in ("weight", "bias")]

# A line of a model on tokens (int[B, T]), their vectors e ([B, T, 12]) and m, the mean of these -> what it keeps
# inside, by the shapes of its weights.
INSIDE: dict[str, dict[str, tuple[int, ...]]] = {
    "a: SelfAttention(4, score = tilt(slope = Weight([4], init = normal(std))))": {"a.slope": (4,)},
    "a: SelfAttention(4, causal = true, score = tilt(slope = Weight([4]), lift = Weight([4])), qk_norm = RMSNorm)": {
        "a.slope": (4,), "a.lift": (4,), "a.q_norm.weight": (3,), "a.k_norm.weight": (3,)
    },
    "SelfAttention(4, score = tilt(slope = Weight([4])))": {"self_attention.slope": (4,)},
    "a: SelfAttention(4, score = tilt(slope = own: Weight([4])))": {"a.own": (4,)},
    "a: SelfAttention(4, score = tilt(slope = Weight([4]) * 2))": {"a.slope": (4,)},
    "a: SelfAttention(4, score = tokens -> RelativeBias(4))": {"a.relative_bias.weight": (32, 4)},
    "a: SelfAttention(4, score = tokens -> near: RelativeBias(4))": {"a.near.weight": (32, 4)},
    "a: SelfAttention(4, mask = (e -> Linear(1) -> reshape([B, T])) > 0)": {
        "a.linear.weight": (1, 12), "a.linear.bias": (1,)
    },
    "a: CrossAttention(4, memory = e -> Linear(7) -> LayerNorm -> Linear(6))": {
        "a.linear.weight": (7, 12), "a.linear.bias": (7,), "a.layer_norm.weight": (7,), "a.layer_norm.bias": (7,),
        "a.linear_2.weight": (6, 7), "a.linear_2.bias": (6,), "a.k.weight": (12, 6), "a.v.weight": (12, 6),
    },
    "a: CrossAttention(4, memory = e -> enc: { Linear(7) -> linear_2: Linear(6) })": {
        "a.enc.linear.weight": (7, 12), "a.enc.linear.bias": (7,), "a.enc.linear_2.weight": (6, 7),
        "a.enc.linear_2.bias": (6,), "a.k.weight": (12, 6), "a.v.weight": (12, 6),
    },
    "a: CrossAttention(4, memory = e -> repeat(2) { Linear(12) })": {
        f"a.layers.{i}.linear.{part}": shape for i in (0, 1) for part, shape in (("weight", (12, 12)), ("bias", (12,)))
    },
    "a: CrossAttention(4, memory = e -> residual(pre = LayerNorm) { mlp: Linear(12) })": {
        "a.mlp_norm.weight": (12,), "a.mlp_norm.bias": (12,), "a.mlp.weight": (12, 12), "a.mlp.bias": (12,)
    },
    "a: CrossAttention(4, memory = e -> SelfAttention(4, score = tokens -> RelativeBias(4, buckets = 8)))": {
        **{f"a.self_attention.{key}": (12, 12) if "weight" in key else (12,) for key in PROJECTIONS},
        "a.self_attention.relative_bias.weight": (8, 4),
    },
    "a: attend(keys = e -> Linear(12), values = e, heads = 4, score = tilt(slope = Weight([4])))": {
        "a.linear.weight": (12, 12), "a.linear.bias": (12,), "a.slope": (4,)
    },
    "a: GRU(12, layers = 2, state = m -> Linear(24) -> reshape([B, 2, 12]) -> permute([1, 0, 2]))": {
        "a.linear.weight": (24, 12), "a.linear.bias": (24,)
    },
    "a: LSTM(6, bidirectional = true, state = m -> Linear(24) -> reshape([B, 4, 6]) -> permute([1, 0, 2]))": {
        "a.linear.weight": (24, 12), "a.linear.bias": (24,)
    },
}  # fmt: skip


def compiled(line: str, *, above: str = "", blocks: str = "") -> Artefact:
    mean = "m = e -> mean(over = 1)" if "= m" in line else ""
    text = f"""{HEADER}{blocks}model Net: (tokens: int[B, T <= 16]) -> (y: [B, T, width]) {{
  Embedding(20, width) as e
  {mean}
  {above}
  e
  {line}
}}
"""
    return compile(Source("net.dlspec", text))


def model_of(artefact: Artefact, *, exporting: bool = False) -> Any:
    model = load_text("net", artefact.export_code if exporting else artefact.model_code).Net()
    model.init_weights(torch.Generator().manual_seed(1))
    return model.eval()


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def inputs(t: int) -> Tensor:
    return torch.randint(0, 20, (3, t), generator=torch.Generator().manual_seed(t))


def same_in_onnx(artefact: Artefact, model: Any, path: Path) -> None:
    numbers = {name: p.detach().numpy() for name, p in model.named_parameters()}
    save(build(artefact.graph, numbers, metadata={}), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for t in (5, 16, 1):
        (found,) = session.run(None, {"tokens": inputs(t).numpy()})
        assert np.abs(np.asarray(found) - model(inputs(t)).detach().numpy()).max() < 2e-5


@pytest.mark.parametrize("line", INSIDE)
def test_keys_begin_with_the_layer_and_all_backends_agree(line: str, tmp_path: Path) -> None:
    artefact = compiled(line)
    model = model_of(artefact)
    found = shapes(model)
    assert {key: found.get(key) for key in INSIDE[line]} == INSIDE[line]
    outside = {key for key in found if not key.startswith(("a.", "self_attention."))}
    assert outside == {"embedding.weight"}
    # The graph's keys are the checkpoint's, and the plan counts them.
    assert {weight.key: weight.shape for weight in weights(artefact.graph)} == found
    assert parameter_count(artefact.graph) == sum(p.numel() for p in model.parameters())
    scripted = model_of(artefact, exporting=True)
    scripted.load_state_dict(model.state_dict(), strict=True)
    again = model_of(artefact)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.add_(0.1)
    again.load_state_dict(model.state_dict(), strict=True)
    expected = model(inputs(7))
    assert torch.equal(again(inputs(7)), expected)
    assert torch.equal(torch.jit.script(scripted)(inputs(7)), expected)
    same_in_onnx(artefact, model, tmp_path / "m.onnx")


@pytest.mark.parametrize("line", INSIDE)
def test_what_lies_inside_is_drawn_and_learns(line: str) -> None:
    artefact = compiled(line)
    with torch.device("meta"):
        model = load_text("net", artefact.model_code).Net()
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, float("nan"))
    model.init_weights(torch.Generator().manual_seed(1))
    assert all(p.isfinite().all() for p in model.parameters())
    model(inputs(7)).square().sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if name in INSIDE[line]}
    blind = {name for name, grad in gradients.items() if grad is None or not grad.isfinite().all()}
    # What a comparison made is a mask, through which nothing learns.
    assert blind == (set(INSIDE[line]) if "mask = " in line else set())


def test_the_class_of_an_attention_owns_the_weight_of_its_score() -> None:
    code = compiled("a: SelfAttention(4, score = tilt(slope = Weight([4], init = normal(std))))").model_code
    assert "        self.o = nn.Linear(dim, dim)\n        self.slope = nn.Parameter(torch.empty(heads))\n" in code
    assert "        slope = self.slope[:, None, None]\n" in code
    assert "        nn.init.normal_(self.slope, std=0.3, generator=generator)\n" in code
    assert "        self.a = SelfAttention(config.width, 4)\n" in code
    assert "        return self.a(e)\n" in code


def test_other_modules_are_handed_to_the_class_that_keeps_them() -> None:
    code = compiled("a: CrossAttention(4, memory = e -> Linear(6))").model_code
    assert "linear: nn.Module" in code
    assert "        self.linear = linear\n" in code
    assert "linear=nn.Linear(config.width, 6)" in code
    assert "self.a.linear(e)" in code


def test_names_inside_are_counted_apart_from_those_outside() -> None:
    artefact = compiled("Linear(width) -> CrossAttention(4, memory = e -> Linear(6)) -> Linear(width)")
    names = [name.removesuffix(".bias") for name in shapes(model_of(artefact)) if name.endswith(".bias")]
    assert {"linear", "cross_attention.linear", "linear_2"} <= set(names)
    assert "cross_attention.linear_2" not in names


def test_a_layer_used_again_has_one_set_of_weights_inside(tmp_path: Path) -> None:
    line = "a: SelfAttention(4, score = tokens -> RelativeBias(4)) -> again: { a } -> a"
    artefact = compiled(line)
    model = model_of(artefact)
    assert [key for key in shapes(model) if "relative" in key] == ["a.relative_bias.weight"]
    same_in_onnx(artefact, model, tmp_path / "m.onnx")
    flow = compiled("f -> f", above="f = SelfAttention(4, score = tilt(slope = Weight([4], init = normal(1))))")
    model = model_of(flow)
    assert [key for key in shapes(model) if "slope" in key] == ["self_attention.slope"]
    same_in_onnx(flow, model, tmp_path / "f.onnx")
    flow = compiled("f -> f", above="f = CrossAttention(4, memory = e -> Linear(6))")
    model = model_of(flow)
    assert [key for key in shapes(model) if "linear" in key] == [
        "cross_attention.linear.weight", "cross_attention.linear.bias"
    ]  # fmt: skip
    same_in_onnx(flow, model, tmp_path / "g.onnx")


def test_a_flow_of_the_body_is_shared_and_stays_outside(tmp_path: Path) -> None:
    artefact = compiled(
        "a: SelfAttention(4, score = tokens -> bias) -> b: SelfAttention(4, score = tokens -> bias)",
        above="bias = RelativeBias(4)",
    )
    model = model_of(artefact)
    assert [key for key in shapes(model) if "relative" in key] == ["relative_bias.weight"]
    same_in_onnx(artefact, model, tmp_path / "m.onnx")
    value = compiled("a: SelfAttention(4, score = near) -> b: SelfAttention(4, score = near)",
                     above="near = tokens -> bias: RelativeBias(4)")  # fmt: skip
    assert [key for key in shapes(model_of(value)) if "bias.weight" in key] == ["bias.weight"]


def test_each_copy_and_each_use_of_a_recipe_has_its_own(tmp_path: Path) -> None:
    blocks = "block Tilted(slope = Weight([4])) { SelfAttention(4, score = tilt(slope = slope)) }\n"
    artefact = compiled("repeat(2) { Tilted } -> b: Tilted(slope = Weight([4], init = ones))", blocks=blocks)
    model = model_of(artefact)
    assert [key for key in shapes(model) if "slope" in key] == [
        "layers.0.tilted.self_attention.slope", "layers.1.tilted.self_attention.slope", "b.self_attention.slope"
    ]  # fmt: skip
    assert model.b.self_attention.slope.tolist() == [1.0] * 4
    same_in_onnx(artefact, model, tmp_path / "m.onnx")
    artefact = compiled("a: SelfAttention(4) -> b: SelfAttention(4)",
                        above="default SelfAttention(score = tilt(slope = Weight([4])))")  # fmt: skip
    assert [key for key in shapes(model_of(artefact)) if "slope" in key] == ["a.slope", "b.slope"]


def test_a_part_that_is_handed_on_keeps_its_path(tmp_path: Path) -> None:
    """A module inside a layer, run again from an inner group: it is lent by its path."""
    artefact = compiled("a: CrossAttention(4, memory = e -> lift: Linear(width)) -> g: { lift -> Linear(width) }")
    model = model_of(artefact)
    assert {"a.lift.weight", "g.linear.weight"} <= set(shapes(model))
    assert "g.lift.weight" not in shapes(model)
    same_in_onnx(artefact, model, tmp_path / "m.onnx")
    dotted = compiled("a: CrossAttention(4, memory = e -> lift: Linear(width)) -> a.lift")
    assert torch.equal(model_of(dotted)(inputs(4)).isfinite(), torch.ones(3, 4, 12, dtype=torch.bool))


def test_a_weight_inside_can_be_tied(tmp_path: Path) -> None:
    artefact = compiled(
        "a: CrossAttention(4, memory = e -> lift: Linear(width)) -> Linear(width, weight = a.lift.weight)"
    )
    model = model_of(artefact)
    assert model.linear.weight is model.a.lift.weight
    found = {weight.key: weight.tied_to for weight in weights(artefact.graph)}
    assert found["linear.weight"] == "a.lift.weight"
    same_in_onnx(artefact, model, tmp_path / "m.onnx")


def test_paths_of_a_recipe_reach_inside() -> None:
    line = (
        "a: CrossAttention(4, memory = e -> lift: Linear(width), score = tilt(slope = Weight([4])), qk_norm = RMSNorm)"
    )
    paths = list(module_paths(compiled(line).graph.model.modules))
    inside = ["q", "k", "v", "o", "q_norm", "k_norm", "slope", "lift"]
    assert paths == ["embedding", "a", *(f"a.{name}" for name in inside)]


def found(line: str) -> list[tuple[str, str]]:
    text = (
        f"{HEADER}model Net: (tokens: int[B, T]) -> (y: [B, T, width]) {{\n  Embedding(9, width) as e\n  {line}\n}}\n"
    )
    return [(d.code, d.message) for d in check(text) if d.severity == "error"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("CrossAttention(4, memory = e -> q: Linear(6))", "q"),
        ("CrossAttention(4, memory = e -> heads: Linear(6))", "heads"),
        ("GRU(12, state = e -> mean(over = 1) -> hidden_size: Linear(12) -> reshape([1, -1, 12]))", "hidden_size"),
    ],
)
def test_a_label_that_the_layer_has_itself_is_refused(line: str, name: str) -> None:
    (code, message), *_ = found(line)
    assert code == "taken-label"
    assert f"`{name}` is a name that " in message


def test_what_is_drawn_first_stands_first_on_the_page() -> None:
    """The layer, then what its arguments made, then the next line."""
    analysis = analyse(Source("net.dlspec", f"""{HEADER}model Net: (x: [B, T, width]) -> (y: [B, T, width]) {{
  a: CrossAttention(4, memory = x -> one: Linear(6) -> two: Linear(6))
  Linear(width)
}}
"""))  # fmt: skip
    (graph,) = analysis.graphs.values()
    assert [module.name for module in graph.model.modules] == ["a", "a.one", "a.two", "linear"]
