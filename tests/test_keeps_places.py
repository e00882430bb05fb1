"""What a layer says of places is so: in its module, a change of one place of a sequence changes that place alone."""

from __future__ import annotations

import pytest
import torch
from layer_examples import example, shape, tensor

from dlspec.compiler.ir.units import layers_in
from dlspec.compiler.layers import registry
from dlspec.compiler.pipeline import Artefact, compile
from dlspec.compiler.semantics.tensor import Type
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

ATTENDS = frozenset({"CrossAttention", "attend"})
"""Each place of what flows alone, but all of the keys, which may be made of the same sequence."""


def says(artefact: Artefact, word: str) -> bool:
    layer = next(layer for layer in layers_in(artefact.graph.model) if layer.word == word)
    return layer.keeps_places(tensor(artefact.graph.model.inputs[0].type))


def does(artefact: Artefact, word: str) -> bool:
    """Whether all that a module gives has for each place of its first input one of its own."""
    kind = registry.find(word)
    if word in ATTENDS or (kind is not None and not kind.takes_running):
        return False
    model = load_text("example", artefact.model_code).Example()
    model.init_weights(torch.Generator().manual_seed(0))
    types = [value.type for value in artefact.graph.model.inputs]
    given = [entering(type_, seed=1) for type_ in types]
    first, changed = given[0], entering(types[0], seed=2)
    before = outputs(model, given)
    if first.ndim < 2 or any(y.shape[:2] != first.shape[:2] for y in before):
        return False
    for place in range(first.shape[1]):
        moved = first.clone()
        moved[1, place] = changed[1, place]
        for ours, theirs in zip(outputs(model, [moved, *given[1:]]), before, strict=True):
            differ = ours != theirs
            differ[1, place] = False
            if differ.any():
                return False
    return True


def entering(type_: Type, seed: int) -> torch.Tensor:
    dims, generator = shape(type_), torch.Generator().manual_seed(seed)
    if tensor(type_).dtype == "float":
        return torch.randn(dims, generator=generator)
    return torch.randint(
        2, dims, generator=generator, dtype=torch.bool if tensor(type_).dtype == "bool" else torch.long
    )


def outputs(model: torch.nn.Module, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Of training, with what is drawn drawn alike."""
    torch.manual_seed(5)
    given = model.train()(*inputs)
    return given if isinstance(given, tuple) else (given,)


@pytest.mark.parametrize("word", registry.words())
def test_a_layer_that_keeps_places_says_so_and_no_other(word: str) -> None:
    artefact = example(word)
    assert says(artefact, word) == does(artefact, word)


@pytest.mark.parametrize(
    ("word", "line", "entering", "leaving", "keeps"),
    [
        ("softmax", "softmax", "[B, T, 8]", "[B, T, 8]", True),
        ("softmax", "softmax", "[B, T]", "[B, T]", False),
        ("log_softmax", "log_softmax", "[B, T, 8]", "[B, T, 8]", True),
        ("LayerNorm", "LayerNorm", "[B, 8]", "[B, 8]", False),
        ("RMSNorm", "RMSNorm", "[B, 8]", "[B, 8]", False),
        ("Linear", "Linear(8)", "[B, 8]", "[B, 8]", False),
        ("mean", "mean(over = 2)", "[B, T, 8]", "[B, T]", True),
        ("mean", "mean(over = [1, 2], keep = true)", "[B, T, 8]", "[B, 1, 1]", False),
        ("roll", "roll(1, over = 2)", "[B, T, 8]", "[B, T, 8]", True),
        ("pad", "pad(1, after = 0, over = 1)", "[B, T, 8]", "[B, T + 1, 8]", False),
        ("split", "split(2)", "[B, 8, H, W]", "[B, 4, H, W]", False),
        ("residual.gain", "residual(gain = 0.5) { relu }", "[B, T, 8]", "[B, T, 8]", True),
        ("residual.layer_scale", "residual(layer_scale = 0.5) { relu }", "[B, T, 8]", "[B, T, 8]", True),
    ],
)
def test_it_hangs_on_the_axis(word: str, line: str, entering: str, leaving: str, keeps: bool) -> None:
    names = ["y", "z"] if word == "split" else ["y"]
    outputs = ", ".join(f"{name}: {leaving}" for name in names)
    text = f"dlspec 1\nmodel Example: (x: {entering}) -> ({outputs}) {{\n  {line} as {', '.join(names)}\n}}\n"
    artefact = compile(Source("example.dlspec", text))
    assert (says(artefact, word), does(artefact, word)) == (keeps, keeps)
