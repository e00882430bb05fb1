"""Convolutions, transposed or not, against PyTorch's own in both backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from one_layer import OneLayer, type_of
from picture_cases import OPEN, far, known, module_of, random, sizes
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlspec.compiler.semantics.number import whole

CONVOLUTIONS = [
    {"kernel": 1},
    {"kernel": 3, "pad": 1},
    {"kernel": 3, "stride": 2, "pad": 1, "bias": False},
    {"kernel": 4, "stride": 3, "pad": 2},
    {"kernel": 3, "dilation": 2, "pad": 2},
    {"kernel": 5, "stride": 2, "dilation": 1, "groups": 2},
    {"kernel": 3, "groups": 4, "pad": "same"},
    {"kernel": 3, "stride": 2, "dilation": 3, "pad": "same"},
]
TRANSPOSED = [
    {"kernel": 1},
    {"kernel": 2, "stride": 2},
    {"kernel": 4, "stride": 2, "pad": 1, "bias": False},
    {"kernel": 3, "stride": 2, "pad": 1, "out_pad": 1},
    {"kernel": 3, "stride": 3, "dilation": 2, "out_pad": 2, "groups": 2},
]
THEIRS = {"pad": "padding", "out_pad": "output_padding"}


def own_module(word: str, options: dict[str, Any]) -> nn.Module:
    given = {THEIRS.get(name, name): value for name, value in options.items()}
    kernel = given.pop("kernel")
    if given.get("padding") == "same":
        given["padding"] = given.get("dilation", 1) * (kernel - 1) // 2
    return module_of(word)(4, 8, kernel, **given)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("word", "options"),
    [*(("Conv", one) for one in CONVOLUTIONS), *(("ConvTranspose", one) for one in TRANSPOSED)],
    ids=lambda v: v if isinstance(v, str) else "-".join(f"{key}={value}" for key, value in v.items()),
)
def test_a_convolution_is_pytorchs_in_both_backends(
    word: str, options: dict[str, Any], axes: int, tmp_path: Path
) -> None:
    word = f"{word}{axes}d"
    layer = OneLayer.make(word, type_of("float", *OPEN[axes + 2]), features=8, **options)
    ours, theirs = layer.module(), own_module(word, options)
    theirs.load_state_dict({key.removeprefix("m."): tensor for key, tensor in ours.state_dict().items()})
    session = layer.session(ours, tmp_path)
    x = random(*known(OPEN[axes + 2]))
    with torch.no_grad():
        expected = theirs(x)
        assert far(ours(x), expected) == 0
    assert tuple(expected.shape) == sizes(layer)
    (found,) = session(x, {})
    assert far(found, expected) < 1e-5


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("Conv2d", {"kernel": (3, 5), "stride": (2, 1), "pad": (0, 2), "dilation": (1, 2)}),
        ("Conv2d", {"kernel": (3, 5), "pad": "same", "stride": 2}),
        ("Conv1d", {"kernel": (3,), "pad": 1}),
        ("Conv3d", {"kernel": (1, 3, 3), "pad": "same"}),
        ("ConvTranspose2d", {"kernel": (2, 4), "stride": 2, "pad": (0, 1)}),
    ],
)
def test_options_may_be_lists_with_one_an_axis(word: str, options: dict[str, Any], tmp_path: Path) -> None:
    axes = int(word[-2])
    layer = OneLayer.make(word, type_of("float", *OPEN[axes + 2]), features=8, **options)
    ours = layer.module()
    x = random(*known(OPEN[axes + 2]))
    y = ours(x)
    assert tuple(y.shape) == sizes(layer)
    made = ours.get_submodule("m")
    assert made.kernel_size == options["kernel"]
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, y.detach()) < 1e-5


@pytest.mark.parametrize(
    "word", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
)
@pytest.mark.parametrize("groups", [1, 2])
def test_its_cost_is_what_pytorch_counts(word: str, groups: int) -> None:
    dims = known(OPEN[int(word[-2]) + 2])
    layer = OneLayer.make(word, type_of("float", *dims), features=8, kernel=3, stride=2, pad=1, groups=groups)
    with FlopCounterMode(display=False) as counter:
        layer.module()(random(*dims))
    cost = layer.layer.flops(layer.x)
    assert cost is not None
    assert whole(cost) == counter.get_total_flops()


def test_its_initial_weights_are_spread_as_pytorch_spreads_them() -> None:
    from dlspec.compiler.backends.pytorch.initial import Scheme, init_conv_source

    scope: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": torch.Tensor, "math": __import__("math")}
    exec("from __future__ import annotations\n" + init_conv_source(Scheme()), scope)
    for conv in (nn.Conv2d(16, 64, 3, groups=2), nn.ConvTranspose2d(64, 32, (3, 5), groups=4)):
        weight, bias = conv.weight.data, conv.get_parameter("bias").data
        bound = max(weight.abs().max().item(), bias.abs().max().item())
        scope["init_conv"](weight, bias, torch.Generator().manual_seed(0))
        assert max(weight.abs().max().item(), bias.abs().max().item()) == pytest.approx(bound, rel=0.02)
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
