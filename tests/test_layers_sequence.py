"""Sinusoid, fourier, ClassToken and RelativeBias: the emitted classes against their papers' formulas, and ONNX."""

from __future__ import annotations

import copy
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from one_layer import OneLayer, open_dim, type_of
from torch import Tensor

from dlspec.compiler.layers.base import ShapeFault
from dlspec.compiler.semantics.tensor import Tensor as Type

B, T, S = open_dim("B"), open_dim("T"), open_dim("S")
VECTORS = type_of("float", B, T, 16)


def t5_bucket(relative_position: Tensor, bidirectional: bool, num_buckets: int, max_distance: int) -> Tensor:
    """As T5's authors published it; `relative_position` is the key's place less the query's."""
    found = torch.zeros_like(relative_position)
    if bidirectional:
        num_buckets //= 2
        found += (relative_position > 0).long() * num_buckets
        relative_position = relative_position.abs()
    else:
        relative_position = -torch.min(relative_position, torch.zeros_like(relative_position))
    max_exact = num_buckets // 2
    if_large = max_exact + (
        torch.log(relative_position.float() / max_exact)
        / math.log(max_distance / max_exact)
        * (num_buckets - max_exact)
    ).to(torch.long)
    if_large = torch.min(if_large, torch.full_like(if_large, num_buckets - 1))
    return found + torch.where(relative_position < max_exact, relative_position, if_large)


BUCKETS: list[dict[str, Any]] = [
    {},
    {"causal": True},
    {"buckets": 8, "distance": 20},
    {"buckets": 6, "distance": 10, "causal": True},
    {"buckets": 64, "distance": 1000},
]


@pytest.mark.parametrize("options", BUCKETS, ids=str)
@pytest.mark.parametrize("lengths", [(1, 1), (7, 7), (300, 300)])
def test_a_relative_bias_has_t5s_buckets(options: dict[str, Any], lengths: tuple[int, int], tmp_path: Path) -> None:
    layer = OneLayer.make("RelativeBias", VECTORS, heads=3, **options)
    module: Any = layer.module()
    t, _ = lengths
    ahead = torch.arange(t)[None] - torch.arange(t)[:, None]
    buckets = t5_bucket(ahead, not options.get("causal"), options.get("buckets", 32), options.get("distance", 128))
    x = torch.randn(2, t, 16)
    expected = module.m.weight[buckets].permute(2, 0, 1)
    assert torch.equal(module(x), expected)
    (found,) = layer.session(module, tmp_path)(x, {})
    assert torch.equal(torch.from_numpy(found), expected)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("t", "s"), [(5, 9), (9, 5), (1, 200)])
def test_a_relative_bias_over_other_keys(causal: bool, t: int, s: int, tmp_path: Path) -> None:
    layer = OneLayer.make("RelativeBias", VECTORS, {"keys": type_of("int", B, S)}, heads=3, causal=causal)
    module: Any = layer.module()
    x, keys = torch.randn(2, t, 16), torch.zeros(2, s, dtype=torch.long)
    query = torch.arange(t) + (s - t if causal else 0)
    expected = module.m.weight[t5_bucket(torch.arange(s)[None] - query[:, None], not causal, 32, 128)].permute(2, 0, 1)
    assert torch.equal(module(x, keys), expected)
    (found,) = layer.session(module, tmp_path)(x, {"keys": keys})
    assert torch.equal(torch.from_numpy(found), expected)


@pytest.mark.parametrize("x", [type_of("int", B, T), VECTORS], ids=str)
@pytest.mark.parametrize("dim", [2, 6, 512])
def test_a_sinusoid_is_that_of_the_paper(dim: int, x: Type, tmp_path: Path) -> None:
    layer = OneLayer.make("Sinusoid", x, dim=dim)
    module = layer.module()
    run = layer.session(module, tmp_path)
    assert list(module.state_dict()) == []
    for t in (1, 7, 64):
        value = torch.zeros(2, t, dtype=torch.long) if x.dtype == "int" else torch.zeros(2, t, 16)
        expected = torch.zeros(t, dim, dtype=torch.float64)
        for position in range(t):
            for i in range(dim // 2):
                angle = position / 10000 ** (2 * i / dim)
                expected[position, 2 * i], expected[position, 2 * i + 1] = math.sin(angle), math.cos(angle)
        assert (module(value) - expected).abs().max() < 1e-5
        (found,) = run(value, {})
        assert (torch.from_numpy(found) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("x", [type_of("int", B), type_of("float", B), type_of("float", B, 1)], ids=str)
def test_fourier_features_of_a_time_step(x: Type, tmp_path: Path) -> None:
    layer = OneLayer.make("fourier", x, dim=8)
    module = layer.module()
    steps = torch.tensor([0, 1, 7, 40]).reshape([4, 1][: x.rank])
    steps = steps if x.dtype == "int" else steps / 7
    angles = steps.double().reshape(-1, 1) * torch.tensor([10000 ** (-i / 4) for i in range(4)], dtype=torch.float64)
    expected = torch.cat((angles.cos(), angles.sin()), -1)
    assert (module(steps) - expected).abs().max() < 1e-5
    (found,) = layer.session(module, tmp_path)(steps, {})
    assert (torch.from_numpy(found) - expected).abs().max() < 1e-5


def test_a_class_token_stands_first(tmp_path: Path) -> None:
    layer = OneLayer.make("ClassToken", VECTORS)
    module: Any = layer.module()
    run = layer.session(module, tmp_path)
    for t in (1, 5):
        x = torch.randn(3, t, 16)
        expected = torch.cat((module.m.weight[None, None].expand(3, 1, 16), x), 1)
        assert torch.equal(module(x), expected)
        assert torch.equal(torch.from_numpy(run(x, {})[0]), expected)
    assert str(layer.types[0]) == "[B, T + 1, 16]"


CLASSES: list[tuple[str, Type, dict[str, Any]]] = [
    ("Sinusoid", type_of("int", B, T), {"dim": 8}),
    ("fourier", type_of("int", B), {"dim": 8}),
    ("ClassToken", VECTORS, {}),
    ("RelativeBias", VECTORS, {"heads": 2, "causal": True}),
]


@pytest.mark.parametrize(("word", "x", "options"), CLASSES, ids=[word for word, _, _ in CLASSES])
def test_what_they_give_is_of_the_models_dtype_and_can_be_compiled(word: str, x: Type, options: dict[str, Any]) -> None:
    layer = OneLayer.make(word, x, **options)
    module = layer.module()
    value = torch.arange(10).reshape(2, 5) if x.rank == 2 else torch.arange(5) if x.rank == 1 else torch.randn(2, 5, 16)
    expected = module(value)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert torch.equal(compiled(value), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(layer.module(exporting=True))
    assert torch.equal(scripted(value), expected)
    half = copy.deepcopy(module).bfloat16()
    assert half(value.bfloat16() if value.is_floating_point() else value).dtype == torch.bfloat16


def test_the_axes_are_called_by_what_they_are() -> None:
    x = Type("float", VECTORS.dims, ("B", "T", "D"))
    layers: dict[str, dict[str, Any]] = {"Sinusoid": {"dim": 4}, "RelativeBias": {"heads": 2}, "ClassToken": {}}
    named = {word: OneLayer.make(word, x, **options).types[0].axes for word, options in layers.items()}
    assert named == {
        "Sinusoid": ("T", None),
        "RelativeBias": (None, "T", "T"),
        "ClassToken": ("B", "T", "D"),
    }


@pytest.mark.parametrize(
    ("word", "x", "options", "message", "help", "option"),
    [
        ("Sinusoid", type_of("int", B), {"dim": 4}, "Sinusoid counts along axis 1, and int[B]", "[B, T]", None),
        ("Sinusoid", VECTORS, {"dim": 5}, "for each frequency, and 5 is odd", "even", "dim"),
        ("fourier", VECTORS, {"dim": 4}, "fourier takes a number for each example, [B] or [B, 1]", "time step", None),
        ("fourier", type_of("bool", B), {"dim": 4}, "and bool[B] comes in", "time step", None),
        ("ClassToken", type_of("float", B, T, T), {}, "known width D, and [B, T, T] comes in", "built", None),
        ("RelativeBias", type_of("int", B), {"heads": 2}, "RelativeBias counts along axis 1", "[B, T]", None),
        ("RelativeBias", VECTORS, {"heads": 2, "buckets": 6}, "a multiple of 4 as `buckets`", "half", "buckets"),
        ("RelativeBias", VECTORS, {"heads": 2, "distance": 8}, "8 distances have a bucket each", "larger", "distance"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    word: str, x: Type, options: dict[str, Any], message: str, help: str, option: str | None
) -> None:
    layer = OneLayer.make(word, x, **options)
    with pytest.raises(ShapeFault) as fault:
        layer.layer.infer(x)
    assert message in fault.value.message
    assert help in fault.value.help
    assert fault.value.option == option
