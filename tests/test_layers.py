"""Every layer of the registry: its example, its shape rule against PyTorch's meta tensors, its parameters and cost."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlspec.compiler.ir.weights import weights
from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.compiler.semantics.number import Number, number, whole
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

SIZES = {"B": 3, "T": 7}


def example(word: str) -> Artefact:
    kind = registry.find(word)
    assert kind is not None
    ports = f"(x: {kind.example_input}) -> "
    # The outputs are not known before the layer has said them: a first try tells their types.
    names = ["y"] if word != "split" else ["y", "z"]
    outputs = {
        "Embedding": "[B, T, 16]",
        "Positions": "[T, 16]",
        "Linear": "[B, 8, 64]",
        "flatten": "[B, 128]",
        "split": "[B, 8, 8]",
    }.get(word, "[B, 8, 16]")
    promised = ", ".join(f"{name}: {outputs}" for name in names)
    line = f"{kind.example} as {', '.join(names)}"
    text = f"dlspec 1\nmodel Example: {ports}({promised}) {{\n  {line}\n}}\n"
    return compile(Source("example.dlspec", text))


def made(artefact: Artefact) -> Any:
    model = load_text("example", artefact.model_code).Example()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


def sizes(type: object) -> tuple[int, ...]:
    assert isinstance(type, Tensor)
    return tuple(SIZES[d.name] if d.value is None else whole(d) for d in type.dims)  # type: ignore[union-attr]


@pytest.mark.parametrize("word", registry.words())
def test_the_example_runs_and_has_the_shape_that_was_inferred(word: str) -> None:
    artefact = example(word)
    unit = artefact.graph.model
    entering = unit.inputs[0].type
    assert isinstance(entering, Tensor)
    with torch.device("meta"):
        model = load_text("example", artefact.model_code).Example()
        x = torch.ones(sizes(entering), dtype=torch.long if entering.dtype == "int" else torch.float32)
        out = model(x)
    outputs = out if isinstance(out, tuple) else (out,)
    assert [tuple(o.shape) for o in outputs] == [sizes(value.type) for value in unit.outputs]


@pytest.mark.parametrize("word", registry.words())
def test_the_parameters_are_those_of_the_module_in_their_order(word: str) -> None:
    artefact = example(word)
    expected = [(w.key, w.shape) for w in weights(artefact.graph)]
    assert [(name, tuple(p.shape)) for name, p in made(artefact).named_parameters()] == expected


@pytest.mark.parametrize("word", ["Linear", "SelfAttention"])
def test_the_cost_is_what_pytorch_counts(word: str) -> None:
    artefact = example(word)
    unit = artefact.graph.model
    (module,) = unit.modules
    entering = unit.inputs[0].type
    assert isinstance(entering, Tensor)
    fixed = Tensor("float", tuple(_fixed(d) for d in entering.dims))
    flops = module.layer.flops(fixed)  # type: ignore[union-attr]
    assert flops is not None
    model = made(artefact)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(torch.randn(sizes(entering)))
    assert whole(flops) == counter.get_total_flops()


def _fixed(dim: Any) -> Number:
    return number(SIZES[dim.name]) if dim.value is None else dim


@pytest.mark.parametrize("word", registry.words())
def test_every_layer_says_what_it_is(word: str) -> None:
    kind = registry.find(word)
    assert kind is not None
    assert kind.__doc__
    assert f"`{word}" in kind.__doc__
    assert kind.example.startswith(word)


def test_initial_weights_of_a_linear_are_pytorchs() -> None:
    """Uniform within 1 / sqrt(fan-in), as nn.Linear draws them."""
    weight = made(example("Linear")).linear.weight
    bound = 1 / weight.shape[1] ** 0.5
    assert weight.abs().max() <= bound
    assert abs(weight.std().item() - bound / 3**0.5) < 0.1 * bound
    assert prod(weight.shape) == 64 * 16
