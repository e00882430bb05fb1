"""Pooling, resizing, means, patches and padding against PyTorch's own in both backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from one_layer import Dim, OneLayer, type_of
from picture_cases import OPEN, B, H, T, W, far, known, random, sizes
from torch import nn

from dlspec.compiler.layers.lengths import times
from dlspec.compiler.semantics.number import number
from dlspec.compiler.semantics.tensor import Tensor

# --- pooling and resizing --------------------------------------------------------------------------------------

POOLS = [
    {"size": 2},
    {"size": 3, "stride": 2, "pad": 1},
    {"size": 3, "stride": 2, "ceil": True},
    {"size": 4, "stride": 3, "pad": 2, "ceil": True},
    {"size": 2, "stride": 3, "ceil": True},
]


@pytest.mark.parametrize("rank", [3, 4, 5])
@pytest.mark.parametrize("options", POOLS, ids=str)
@pytest.mark.parametrize("word", ["max_pool", "avg_pool"])
def test_pooling_is_pytorchs_in_both_backends(word: str, options: dict[str, Any], rank: int, tmp_path: Path) -> None:
    layer = OneLayer.make(word, type_of("float", *OPEN[rank]), **options)
    x = random(*known(OPEN[rank]))
    function = getattr(F, f"{word}{rank - 2}d")
    expected = function(
        x,
        options["size"],
        options.get("stride", options["size"]),
        options.get("pad", 0),
        ceil_mode=options.get("ceil", False),
    )
    ours = layer.module()
    assert far(ours(x), expected) == 0
    assert tuple(expected.shape) == sizes(layer)
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, expected) < 1e-6


@pytest.mark.parametrize("rank", [3, 4, 5])
@pytest.mark.parametrize("size", [1, 3, 7, 10])
def test_pooling_to_a_size_is_pytorchs_in_both_backends(size: int, rank: int, tmp_path: Path) -> None:
    """Also where windows overlap, and where there are more of them than entries."""
    layer = OneLayer.make("adaptive_avg_pool", type_of("float", *OPEN[rank]), size=size)
    ours = layer.module()
    session = layer.session(ours, tmp_path)
    for seed in range(3):
        dims = (2, 4, *(3 + seed + 4 * axis for axis in range(rank - 2)))
        x = random(*dims, seed=seed)
        expected = getattr(F, f"adaptive_avg_pool{rank - 2}d")(x, size)
        assert far(ours(x), expected) == 0
        (found,) = session(x, {})
        assert far(found, expected) < 1e-6


@pytest.mark.parametrize(
    ("mode", "rank"),
    [("nearest", 3), ("nearest", 4), ("nearest", 5), ("bilinear", 3), ("bilinear", 4), ("bilinear", 5), ("bicubic", 4)],
)
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_upsampling_is_pytorchs_in_both_backends(mode: str, rank: int, factor: int, tmp_path: Path) -> None:
    theirs = {3: "linear", 4: "bilinear", 5: "trilinear"}[rank] if mode == "bilinear" else mode
    layer = OneLayer.make("upsample", type_of("float", *OPEN[rank]), factor=factor, mode=mode)
    ours = layer.module()
    session = layer.session(ours, tmp_path)
    for dims in (known(OPEN[rank]), (1, 4, *(1,) * (rank - 2))):
        x = random(*dims)
        expected = F.interpolate(x, scale_factor=factor, mode=theirs)
        assert far(ours(x), expected) == 0
        (found,) = session(x, {})
        assert far(found, expected) < 1e-5
    assert sizes(layer)[2:] == tuple(factor * n for n in known(OPEN[rank])[2:])


def test_upsampling_by_an_axis(tmp_path: Path) -> None:
    layer = OneLayer.make("upsample", type_of("float", *OPEN[4]), factor=(1, 3), mode="bilinear")
    x = random(2, 4, 5, 6)
    ours = layer.module()
    assert tuple(ours(x).shape) == (2, 4, 5, 18)
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, ours(x)) < 1e-5


# --- means, patches, padding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("over", [(2, 3), (1,), -1, (0, 2)], ids=str)
@pytest.mark.parametrize("word", ["mean", "sum"])
def test_means_and_sums_are_pytorchs(word: str, over: Any, keep: bool, tmp_path: Path) -> None:
    layer = OneLayer.make(word, type_of("float", *OPEN[4]), over=over, keep=keep)
    x = random(*known(OPEN[4]))
    expected = getattr(torch, word)(x, over, keepdim=keep)
    ours = layer.module()
    assert far(ours(x), expected) == 0
    assert tuple(expected.shape) == sizes(layer)
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, expected) < 1e-5


@pytest.mark.parametrize("dtype", ["int", "bool"])
def test_a_sum_of_numbers_and_of_truth_values_is_a_whole_number(dtype: Any, tmp_path: Path) -> None:
    layer = OneLayer.make("sum", type_of(dtype, B, T), over=1)
    assert layer.types[0].dtype == "int"
    x = torch.randint(0, 2, (3, 5), generator=torch.Generator().manual_seed(0))
    x = x.bool() if dtype == "bool" else x
    (found,) = layer.session(layer.module(), tmp_path)(x, {})
    np.testing.assert_array_equal(found, x.sum(1).numpy())


@pytest.mark.parametrize("size", [1, 2, (4, 3)], ids=str)
def test_patches_are_what_a_convolution_of_their_size_sees(size: Any, tmp_path: Path) -> None:
    """`patchify(p) -> Linear(D)` with the flattened kernels of a Conv2d gives what that gives."""
    height, width = size if isinstance(size, tuple) else (size, size)
    dims = (B, number(3), times(H, height), times(W, width))
    layer = OneLayer.make("patchify", Tensor("float", dims), size=size)
    x = random(2, 3, height * 12, width * 9)
    conv = nn.Conv2d(3, 8, (height, width), (height, width))
    ours = layer.module()
    patches = ours(x)
    assert tuple(patches.shape) == sizes(layer)
    projected = F.linear(patches, conv.weight.flatten(1), conv.bias)
    assert far(projected, conv(x).flatten(2).transpose(1, 2).detach()) < 1e-6
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, patches) == 0


@pytest.mark.parametrize(
    ("dims", "options", "theirs"),
    [
        (OPEN[4], {"size": 1}, (1, 1, 1, 1)),
        (OPEN[5], {"size": (0, 1, 2)}, (2, 2, 1, 1, 0, 0)),
        (OPEN[4], {"size": (1, 2), "after": (0, 3), "value": -1.5}, (2, 3, 1, 0)),
        ((B, T, 4), {"size": 2, "after": 0, "over": 1}, (0, 0, 2, 0)),
        ((B, T, 4), {"size": 0, "after": (1, 2), "over": (1, -1)}, (0, 2, 0, 1)),
    ],
    ids=str,
)
def test_padding_is_pytorchs(
    dims: tuple[Dim, ...], options: dict[str, Any], theirs: tuple[int, ...], tmp_path: Path
) -> None:
    layer = OneLayer.make("pad", type_of("float", *dims), **options)
    x = random(*known(dims))
    expected = F.pad(x, theirs, value=options.get("value", 0))
    ours = layer.module()
    assert far(ours(x), expected) == 0
    assert tuple(expected.shape) == sizes(layer)
    (found,) = layer.session(ours, tmp_path)(x, {})
    assert far(found, expected) == 0


def test_whole_numbers_are_padded_with_whole_numbers(tmp_path: Path) -> None:
    layer = OneLayer.make("pad", type_of("int", B, T), size=1, after=2, over=1, value=7)
    x = torch.arange(6).reshape(2, 3)
    (found,) = layer.session(layer.module(), tmp_path)(x, {})
    np.testing.assert_array_equal(found, F.pad(x, (1, 2), value=7).numpy())
    np.testing.assert_array_equal(layer.module()(x).numpy(), found)
