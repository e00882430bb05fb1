"""Convolutions, pooling, resizing, patches and padding against PyTorch's own, over options and open lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from one_layer import Dim, OneLayer, open_dim, type_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlspec import check
from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.layers.base import ShapeFault
from dlspec.compiler.layers.lengths import divided, floor_divided, shifted, slid, times
from dlspec.compiler.semantics.number import Number, Operation, Reference, equal, number, whole, written
from dlspec.compiler.semantics.tensor import Tensor

B, T, H, W = (open_dim(name) for name in "BTHW")
OPEN = {3: (B, 4, T), 4: (B, 4, H, W), 5: (B, 4, T, H, W)}
SIZES = {"B": 2, "T": 7, "H": 12, "W": 9}


def sizes(layer: OneLayer) -> tuple[int, ...]:
    return tuple(map(Sizes(SIZES).of, layer.types[0].dims))


def random(*dims: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(dims, generator=torch.Generator().manual_seed(seed))


def known(dims: tuple[Dim, ...]) -> tuple[int, ...]:
    return tuple(SIZES[dim.name] if isinstance(dim, Reference) else dim for dim in dims)


def far(found: Any, expected: torch.Tensor) -> float:
    """The largest difference, as a part of the largest entry."""
    found = torch.as_tensor(np.asarray(found.detach() if isinstance(found, torch.Tensor) else found))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return float((found - expected).abs().max() / (expected.abs().max().clamp(min=1e-12)))


def module_of(word: str) -> type[nn.Module]:
    return getattr(nn, word)


# --- convolutions ----------------------------------------------------------------------------------------------

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


# --- lengths ---------------------------------------------------------------------------------------------------

few = st.integers(1, 6)


@given(length=st.integers(1, 40), kernel=few, stride=few, dilation=st.integers(1, 3), pad=st.integers(0, 4))
def test_a_length_is_that_of_pytorch_known_or_open(
    length: int, kernel: int, stride: int, dilation: int, pad: int
) -> None:
    assume(length + 2 * pad >= dilation * (kernel - 1) + 1)
    options: dict[str, Any] = {"features": 2, "kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad}
    given = OneLayer.make("Conv1d", type_of("float", 1, 3, length), **options)
    with torch.device("meta"):
        expected = nn.Conv1d(3, 2, kernel, stride, pad, dilation)(torch.ones(1, 3, length)).shape
    assert tuple(map(whole, given.types[0].dims)) == tuple(expected)
    opened = OneLayer.make("Conv1d", type_of("float", 1, 3, T), **options)
    assert Sizes({"T": length}).of(opened.types[0].dims[2]) == expected[2]


@given(
    length=st.integers(1, 30),
    kernel=few,
    stride=few,
    dilation=st.integers(1, 3),
    pad=st.integers(0, 3),
    out_pad=st.integers(0, 4),
)
def test_a_transposed_length_is_that_of_pytorch(
    length: int, kernel: int, stride: int, dilation: int, pad: int, out_pad: int
) -> None:
    assume(out_pad < max(stride, dilation))
    assume((length - 1) * stride - 2 * pad + dilation * (kernel - 1) + out_pad + 1 >= 1)
    options: dict[str, Any] = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pad, "out_pad": out_pad}
    opened = OneLayer.make("ConvTranspose1d", type_of("float", 1, 3, T), features=2, **options)
    with torch.device("meta"):
        theirs = nn.ConvTranspose1d(3, 2, kernel, stride, pad, out_pad, dilation=dilation)
        expected = theirs(torch.ones(1, 3, length)).shape
    assert Sizes({"T": length}).of(opened.types[0].dims[2]) == expected[2]


@given(length=st.integers(1, 40), size=few, stride=few, pad=st.integers(0, 3), ceil=st.booleans())
def test_a_pooled_length_is_that_of_pytorch(length: int, size: int, stride: int, pad: int, ceil: bool) -> None:
    assume(2 * pad <= size <= length + 2 * pad)
    opened = OneLayer.make("max_pool", type_of("float", 1, 3, T), size=size, stride=stride, pad=pad, ceil=ceil)
    expected = F.max_pool1d(torch.ones(1, 3, length), size, stride, pad, ceil_mode=ceil).shape
    assert Sizes({"T": length}).of(opened.types[0].dims[2]) == expected[2]


lengths = st.recursive(
    st.sampled_from([T, H, number(7)]),
    lambda inner: st.one_of(
        st.tuples(inner, st.integers(-3, 9)).map(lambda pair: shifted(*pair)),
        st.tuples(inner, st.integers(1, 6)).map(lambda pair: times(*pair)),
        st.tuples(inner, st.integers(-4, 4), st.integers(1, 5)).map(lambda triple: floor_divided(*triple)),
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(lengths, st.integers(-5, 5), st.integers(1, 6), st.integers(0, 60), st.integers(0, 60))
def test_folding_changes_no_value(n: Number, shift: int, by: int, t: int, h: int) -> None:
    at = Sizes({"T": t, "H": h})
    assert at.of(floor_divided(n, shift, by)) == (at.of(n) + shift) // by
    assert at.of(times(n, by)) == at.of(n) * by
    part = divided(n, by)
    assert part is None or at.of(part) * by == at.of(n)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (slid(H, 7, 2, 3, 3), "(H - 1) // 2 + 1"),
        (slid(slid(H, 7, 2, 3, 3), 3, 2, 1, 1), "(H - 1) // 4 + 1"),
        (slid(H, 2, 2, 0, 0), "H // 2"),
        (slid(H, 3, 1, 1, 1), "H"),
        (slid(H, 5, 1, 0, 0), "H - 4"),
        (slid(Operation("*", (number(16), H)), 3, 2, 1, 1), "8 * H"),
        (slid(slid(Operation("*", (number(4), H)), 2, 2, 0, 0), 2, 2, 0, 0), "H"),
        (slid(number(224), 7, 2, 3, 3), "112"),
        (times(Operation("*", (number(8), H)), 2), "16 * H"),
    ],
    ids=str,
)
def test_lengths_read_as_one_would_write_them(n: Number, text: str) -> None:
    assert written(n) == text


def test_equal_lengths_are_equal_however_they_came_about() -> None:
    convolution = slid(H, 3, 2, 1, 1)
    assert equal(convolution, slid(H, 1, 2, 0, 0))
    assert equal(convolution, slid(H, 7, 2, 3, 3))
    assert not equal(convolution, slid(H, 2, 2, 0, 0))


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


# --- everywhere ------------------------------------------------------------------------------------------------

EVERYWHERE = [
    ("Conv2d", {"features": 8, "kernel": 3, "stride": 2, "pad": "same"}),
    ("ConvTranspose2d", {"features": 8, "kernel": 4, "stride": 2, "pad": 1}),
    ("max_pool", {"size": 3, "stride": 2, "pad": 1}),
    ("avg_pool", {"size": 2, "ceil": True}),
    ("adaptive_avg_pool", {"size": (3, 2)}),
    ("mean", {"over": (2, 3)}),
    ("sum", {"over": 1, "keep": True}),
    ("upsample", {"factor": 2, "mode": "bicubic"}),
    ("upsample", {"factor": (2, 1)}),
    ("patchify", {"size": 2}),
    ("pad", {"size": (1, 2), "value": 0.5}),
]


@pytest.mark.parametrize(("word", "options"), EVERYWHERE, ids=lambda v: str(v))
def test_it_is_scripted_compiled_and_runs_in_bfloat16(word: str, options: dict[str, Any]) -> None:
    layer = OneLayer.make(word, type_of("float", B, 4, 8, 6), **options)
    ours, x = layer.module(), random(2, 4, 8, 6)
    expected = ours(x).detach()
    scripted = torch.jit.script(layer.module(exporting=True))
    assert far(scripted(x), expected) == 0
    compiled = torch.compile(ours, fullgraph=True, backend="eager")
    assert far(compiled(x).detach(), expected) == 0
    assert ours.to(torch.bfloat16)(x.to(torch.bfloat16)).dtype == torch.bfloat16


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "dims", "options", "message", "help"),
    [
        (
            "Conv2d",
            (B, 28, 28),
            {"features": 8, "kernel": 3},
            "Conv2d takes [B, C, H, W], and [B, 28, 28] comes in",
            "the first axis is the batch, the second the channels: "
            "`reshape([B, 1, 28, 28])` before it makes one channel",
        ),
        (
            "Conv2d",
            (B, H, 28, 28),
            {"features": 8, "kernel": 3},
            "Conv2d needs to know how many channels there are, and axis 1 of [B, H, 28, 28] is open",
            "its weights are made when the model is built: write a number or a constant there",
        ),
        (
            "Conv2d",
            (B, 3, 28, 28),
            {"features": 8, "kernel": (3, 3, 3)},
            "`kernel` lists 3 numbers, and Conv2d acts on 2 axes",
            "write one number for all axes, or one an axis",
        ),
        (
            "Conv2d",
            (B, 3, 5, 28),
            {"features": 8, "kernel": 9, "pad": 1},
            "the window of Conv2d is 9 wide, and axis 2 of [B, 3, 5, 28] is 5 and the padding 2",
            "take a smaller window, or more `pad`",
        ),
        (
            "Conv2d",
            (B, 3, 5, 28),
            {"features": 8, "kernel": 4, "pad": "same"},
            "`pad = same` puts dilation * (kernel - 1) / 2 on both sides of an axis, and that is not whole for a "
            "kernel of 4",
            "take an odd kernel, or `pad` in numbers; Conv2d pads both sides alike",
        ),
        (
            "Conv1d",
            (B, 3, T),
            {"features": 8, "kernel": 3, "groups": 2},
            "the 3 channels of [B, 3, T] do not fall into 2 groups",
            "channels and features of Conv1d must be multiples of `groups`",
        ),
        (
            "ConvTranspose1d",
            (B, 3, T),
            {"features": 8, "kernel": 3, "stride": 2, "out_pad": 2},
            "`out_pad` of ConvTranspose1d is 2, with a stride of 2",
            "`out_pad` says which of the lengths that a stride makes alike is meant: it is below `stride`",
        ),
        (
            "ConvTranspose1d",
            (B, 3, 2),
            {"features": 8, "kernel": 2, "pad": 3},
            "nothing is left of axis 2 of [B, 3, 2]: ConvTranspose1d makes it -3 long",
            "`pad` takes away from both ends here: take less of it",
        ),
        (
            "max_pool",
            (B, 3, 8, 8),
            {"size": 3, "pad": 2},
            "`pad` of max_pool is 2, and its window is 3 wide",
            "a window has to reach into the picture: `pad` is at most half of `size`",
        ),
        (
            "upsample",
            (B, 3, T),
            {"factor": 2, "mode": "bicubic"},
            "bicubic is a way to interpolate [B, C, H, W], and [B, 3, T] comes in",
            "`mode = bilinear` works here",
        ),
        (
            "patchify",
            (B, 3, 30, H),
            {"size": (6, 4)},
            "H of [B, 3, 30, H] does not divide into patches of 4",
            "axis 3 must be a multiple of `size`: 4 * H in the input of the model says so",
        ),
        (
            "pad",
            (B, T, 8),
            {"size": 1},
            "pad needs to know which axes of [B, T, 8] are meant",
            "name them with `over`: `over = -1` is the last; [B, C, H, W] and [B, C, D, H, W] can do without",
        ),
        (
            "mean",
            (B, T, 8),
            {"over": 3},
            "mean along axis 3, and [B, T, 8] has 3",
            "an axis from 0 to 2",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_both_sides(
    word: str, dims: tuple[Dim, ...], options: dict[str, Any], message: str, help: str
) -> None:
    with pytest.raises(ShapeFault) as fault:
        _ = OneLayer.make(word, type_of("float", *dims), **options).types
    assert fault.value.message == message
    assert fault.value.help == help


@pytest.mark.parametrize("word", ["Conv1d", "max_pool", "adaptive_avg_pool", "upsample", "mean"])
def test_whole_numbers_are_not_pictures(word: str) -> None:
    options: dict[str, dict[str, Any]] = {
        "Conv1d": {"features": 8, "kernel": 3},
        "max_pool": {"size": 2},
        "adaptive_avg_pool": {"size": 2},
        "upsample": {"factor": 2},
        "mean": {"over": 1},
    }
    with pytest.raises(ShapeFault, match="takes float"):
        _ = OneLayer.make(word, type_of("int", B, 3, T), **options[word]).types


def test_a_name_that_no_axis_has_is_told_once() -> None:
    text = "dlspec 1\nmodel N: (image: [B, 3, 32, 32]) -> (y: [B, 3]) {\n  mean(over = [H, W])\n}\n"
    (found,) = check(text)
    assert found.message == "mean along H, and [B, 3, 32, 32] has no axis of that name"
    assert found.help == "its axes are called B; or name it by its position, such as -1"
    assert found.span.text == "over = [H, W]"


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("Conv2d(out_channels = 8, kernel_size = 3, padding = 1)", "Conv2d(features = 8, kernel = 3, pad = 1)"),
        ("MaxPool2d(2)", "max_pool(2)"),
        ("AdaptiveAvgPool2d(1)", "adaptive_avg_pool(1)"),
        ("Conv2DTranspose(8, 2, strides = 2)", "ConvTranspose2d(8, 2, stride = 2)"),
        ("BatchNorm2d", "BatchNorm"),
        ("mean(dim = [2, 3], keepdim = true)", "mean(over = [2, 3], keep = true)"),
        ("upsample(scale_factor = 2)", "upsample(factor = 2)"),
        ("StochasticDepth(0.1)", "DropPath(0.1)"),
    ],
)
def test_words_of_other_tools_are_mended_by_machine(line: str, mended: str) -> None:
    text = f"dlspec 1\nmodel N: (image: [B, 4, H, W]) -> (y: [B, 4]) {{\n  {line}\n}}\n"
    for _ in range(6):
        fixes = [d.fixes[0] for d in check(text) if d.code.startswith("unknown") and d.fixes]
        if not fixes:
            break
        text = text[: fixes[0].span.start] + fixes[0].text + text[fixes[0].span.end :]
    assert mended in text


@settings(max_examples=300)
@given(lengths, st.integers(-5, 5), st.integers(1, 6), lengths, st.integers(0, 60), st.integers(0, 60))
def test_lengths_that_are_said_to_be_equal_are(n: Number, shift: int, by: int, m: Number, t: int, h: int) -> None:
    """A floor as it is folded here, and as a signature would have it."""
    written_out = Operation("//", (Operation("+", (n, number(shift))), number(by)))
    assert equal(written_out, floor_divided(n, shift, by))
    at = Sizes({"T": t, "H": h})
    assert not equal(n, m) or at.of(n) == at.of(m)
