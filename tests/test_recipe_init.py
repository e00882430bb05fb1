"""`init` of a recipe: every kind of layer against PyTorch's own functions, drawn in the order of the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_cases import TEXT_LINES

from dlspec import compile
from dlspec.runtime.program import load_text

SPEC = """\
dlspec 1
model Net: (tokens: int[B, T <= 8]) -> (logits: [B, T, 32]) {
  tok: Embedding(32, 24) + pos: Positions(8, 24)
  attn: SelfAttention(2)
  LSTM(24)
  conv: { permute([0, 2, 1]) -> Conv1d(24, kernel = 3, pad = 1) -> permute([0, 2, 1]) }
  head: Linear(32, weight = tok.weight)
}
"""
TOKEN = """\
dlspec 1
model Net: (x: [B, T, 24]) -> (y: [B, 2]) {
  ClassToken -> first -> head: Linear(2)
}
"""

Draw = Callable[[Tensor, torch.Generator], object]


def trained(spec: str, **lines: str) -> str:
    body = "\n".join(f"  {key} = {value}" for key, value in {**TEXT_LINES, **lines}.items())
    return f"{spec}train Net {{\n{body}\n}}\n".replace("window = context", "window = 8").replace("bytes", "characters")


def made(text: str) -> Any:
    model: Any = load_text("net", text).Net()
    model.init_weights(torch.Generator().manual_seed(5))
    return model


DRAWS: dict[str, Draw] = {
    "normal(0.02)": lambda w, g: nn.init.normal_(w, std=0.02, generator=g),
    "xavier": lambda w, g: nn.init.xavier_uniform_(w, generator=g),
    "xavier(shape = normal, gain = 0.5)": lambda w, g: nn.init.xavier_normal_(w, gain=0.5, generator=g),
    "he": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "he(shape = uniform, gain = 2)": lambda w, g: nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=g).mul_(2),
    "orthogonal": lambda w, g: nn.init.orthogonal_(w, generator=g),
    "orthogonal(gain = 1.5)": lambda w, g: nn.init.orthogonal_(w, gain=1.5, generator=g),
}


@pytest.mark.parametrize("init", DRAWS)
def test_matrices_kernels_and_tables_are_drawn_and_biases_are_zeros(init: str) -> None:
    model = made(compile(trained(SPEC, init=init)).model_code)
    generator = torch.Generator().manual_seed(5)
    for name, tensor in model.named_parameters():
        twin = torch.zeros_like(tensor)
        if tensor.ndim > 1:
            DRAWS[init](twin, generator)
        assert torch.equal(tensor, twin), name


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("xavier", math.sqrt(2 / (400 + 200))),
        ("xavier(shape = normal)", math.sqrt(2 / (400 + 200))),
        ("he", math.sqrt(2 / 400)),
        ("he(shape = uniform)", math.sqrt(2 / 400)),
        ("orthogonal", math.sqrt(1 / 400)),
        ("orthogonal(gain = 3)", 3 * math.sqrt(1 / 400)),
    ],
)
def test_the_deviation_is_that_of_the_page(init: str, deviation: float) -> None:
    spec = "dlspec 1\nmodel Net: (x: [B, 400]) -> (output: [B, 200]) {\n  part: Linear(200)\n}\n"
    lines = {"data": 'arrays("x.npz")', "loss": "mse(output, data.y)", "init": init}
    weight = made(compile(trained(spec, **lines)).model_code).part.weight
    assert weight.std().item() == pytest.approx(deviation, rel=0.01)


@pytest.mark.parametrize("init", ["xavier", "he", "orthogonal", "normal(0.5)"])
def test_a_single_vector_counts_as_a_row(init: str) -> None:
    lines = {"data": 'arrays("x.npz")', "loss": "mse(y, data.y)", "init": init}
    token = made(compile(trained(TOKEN, **lines)).model_code).class_token.weight
    twin, generator = torch.zeros(1, 24), torch.Generator().manual_seed(5)
    DRAWS.get(init, lambda w, g: nn.init.normal_(w, std=0.5, generator=g))(twin, generator)
    assert torch.equal(token, twin[0])


@pytest.mark.parametrize("init", ["xavier", "orthogonal"])
def test_kernels_change_no_initial_weight(init: str) -> None:
    pytest.importorskip("triton")
    plain = made(compile(trained(SPEC, init=init, kernels="torch")).model_code)
    found = compile(trained(SPEC, init=init, kernels="triton"))
    assert found.kernels
    fused: Any = load_text("net", found.model_code, found.kernels).Net()
    fused.init_weights(torch.Generator().manual_seed(5))
    assert plain.state_dict().keys() == fused.state_dict().keys()
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), fused.parameters(), strict=True))


@pytest.mark.parametrize("word", ["xavier", "he", "orthogonal"])
def test_of_a_layer_and_of_a_recipe_are_the_same(word: str) -> None:
    of_recipe = compile(trained(SPEC, init=word)).model_code
    of_layer = compile(trained(SPEC.replace("pad = 1)", f"pad = 1, init = {word})"), init=word)).model_code
    for one, other in zip(made(of_recipe).parameters(), made(of_layer).parameters(), strict=True):
        assert torch.equal(one, other)
