"""Every layer of the registry: its example, its shape rule against PyTorch's meta tensors, its parameters and cost."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.build.model import build_model
from dlspec.compiler.ir.weights import weights
from dlspec.compiler.layers import registry
from dlspec.compiler.layers.base import Layer
from dlspec.compiler.pipeline import Artefact, analyse, compile
from dlspec.compiler.semantics.number import Number, number, whole
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.tensor import Tensor
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

SIZES = {"B": 3, "T": 7, "S": 5, "H": 12, "W": 10}
DTYPES = {"int": torch.long, "float": torch.float32, "bool": torch.bool}
CONVOLUTIONS = [f"{kind}{axes}d" for kind in ("Conv", "ConvTranspose") for axes in (1, 2, 3)]
plan_sizes = Sizes(SIZES)


def example(word: str) -> Artefact:
    """A model of the example alone. What it gives is asked of a first try, which promises something else."""
    names = ["y", "z", "u", "v"][: _kind(word).example_outputs]
    tried = analyse(Source("example.dlspec", _text(word, [f"{name}: [B]" for name in names])))
    assert tried.spec is not None
    found = build_model(tried.spec, tried.spec.scope.models["Example"], Report()).ports.outputs
    return compile(Source("example.dlspec", _text(word, [f"{name}: {found[name]}" for name in names])))


def _kind(word: str) -> type[Layer]:
    kind = registry.find(word)
    assert kind is not None
    return kind


def _text(word: str, outputs: list[str]) -> str:
    kind = _kind(word)
    inputs = ({"x": kind.example_input} if kind.takes_running else {}) | kind.example_sides
    names = [output.partition(":")[0] for output in outputs]
    begin = "x -> " if kind.takes_running and len(inputs) > 1 else ""
    lines = [f"{begin}{kind.example} as {', '.join(names)}"]
    if not inputs:  # a model takes something
        inputs, outputs = {"x": "[B, 8]"}, [*outputs, "rest: [B, 8]"]
        lines = ["x -> relu as rest", *lines]
    ports = ", ".join(f"{name}: {type_}" for name, type_ in inputs.items())
    body = "".join(f"  {line}\n" for line in lines)
    return f"dlspec 1\nmodel Example: ({ports}) -> ({', '.join(outputs)}) {{\n{body}}}\n"


def made(artefact: Artefact) -> Any:
    model = load_text("example", artefact.model_code).Example()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


def _tensor(type: object) -> Tensor:
    assert isinstance(type, Tensor)
    return type


def sizes(type: object) -> tuple[int, ...]:
    return tuple(map(plan_sizes.of, _tensor(type).dims))


@pytest.mark.parametrize("word", registry.words())
def test_the_example_runs_and_has_the_shape_that_was_inferred(word: str) -> None:
    artefact = example(word)
    unit = artefact.graph.model
    with torch.device("meta"):
        model = load_text("example", artefact.model_code).Example()
        out = model(*(torch.ones(sizes(value.type), dtype=DTYPES[_tensor(value.type).dtype]) for value in unit.inputs))
    outputs = out if isinstance(out, tuple) else (out,)
    assert [tuple(o.shape) for o in outputs] == [sizes(value.type) for value in unit.outputs]


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
