"""Every layer of the registry: its example, its shape rule against PyTorch's meta tensors, its parameters and cost."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from layer_examples import SMALL, example, shape, tensor
from torch.utils.flop_counter import FlopCounterMode

from dlspec.compiler.ir.weights import weights
from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import Artefact
from dlspec.compiler.semantics.number import Number, number, whole
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.runtime.program import load_text

DTYPES = {"int": torch.long, "float": torch.float32, "bool": torch.bool}
CONVOLUTIONS = [f"{kind}{axes}d" for kind in ("Conv", "ConvTranspose") for axes in (1, 2, 3)]


def made(artefact: Artefact) -> Any:
    model = load_text("example", artefact.model_code).Example()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize("word", registry.words())
def test_the_example_runs_and_has_the_shape_that_was_inferred(word: str) -> None:
    artefact = example(word)
    unit = artefact.graph.model
    with torch.device("meta"):
        model = load_text("example", artefact.model_code).Example()
        out = model(*(torch.ones(shape(value.type), dtype=DTYPES[tensor(value.type).dtype]) for value in unit.inputs))
    outputs = out if isinstance(out, tuple) else (out,)
    assert [tuple(o.shape) for o in outputs] == [shape(value.type) for value in unit.outputs]


@pytest.mark.parametrize("word", registry.words())
def test_the_parameters_are_those_of_the_module_in_their_order(word: str) -> None:
    artefact = example(word)
    expected = [(w.key, w.shape) for w in weights(artefact.graph)]
    assert [(name, tuple(p.shape)) for name, p in made(artefact).named_parameters()] == expected


@pytest.mark.parametrize("word", ["Linear", "SelfAttention", "SqueezeExcite", *CONVOLUTIONS])
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
        model(torch.randn(shape(entering)))
    assert whole(flops) == counter.get_total_flops()


def _fixed(dim: Any) -> Number:
    return number(SMALL.of(dim))


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
