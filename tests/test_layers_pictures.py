"""Layers for pictures, all of them: in script, compiled, in bfloat16; and what does not fit them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from one_layer import Dim, OneLayer, type_of
from picture_cases import B, H, T, far, random

from dlspec import check
from dlspec.compiler.layers.base import ShapeFault

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
            "pad",
            (B, 8, T),
            {"size": (2, 0), "over": -1},
            "`size` lists 2 and 0, and pad acts on 1 axis",
            "the two ends of an axis are `size` and `after`: write `pad(2, after = 0, over = -1)`",
        ),
        (
            "Conv1d",
            (B, 8, T),
            {"features": 8, "kernel": 3, "pad": (2, 0)},
            "`pad` lists 2 and 0, and Conv1d pads both ends of its one axis alike",
            "pad before it: `pad(2, after = 0, over = -1)`",
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
