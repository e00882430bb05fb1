"""The templates of LayerNorm and RMSNorm in Triton's interpreter, against PyTorch in float64; what they compile to."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from triton_machine_code import TARGETS, MachineCode, compiled
from triton_norm import Inputs, Options, backward, forward, poisoned, reference, sum_parts, written
from triton_templates import template

from dlspec.compiler.backends.triton.norm_configuration import (
    MEANS,
    PARTS,
    BackwardTiles,
    ForwardTiles,
    backward_tiles,
    forward_tiles,
)


def numbers(*shape: int, seed: int) -> Tensor:
    """Such as bfloat16 and float16 have, too."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16().float()


def inputs(options: Options, M: int, width: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Inputs:
    x, residual, d_y, d_total = (numbers(M, width, seed=8 * seed + i).to(dtype) for i in range(4))
    return Inputs(
        x,
        residual if options.add else None,
        1.0 + numbers(width, seed=8 * seed + 4) / 4 if options.weight else None,
        numbers(width, seed=8 * seed + 5) if options.bias else None,
        d_y,
        d_total if options.stream else None,
        torch.tensor(1234 + seed) if options.drop else None,
    )


def power(width: int) -> int:
    return 1 << (width - 1).bit_length()


def whole(width: int, rows: int = 4, groups: int = 3) -> tuple[ForwardTiles, BackwardTiles]:
    block = power(width)
    return ForwardTiles(rows, block, 4, False), BackwardTiles(rows, block, 4, 3, groups, False, False)


def chunks(block: int, rows: int = 4, groups: int = 3) -> tuple[ForwardTiles, BackwardTiles]:
    return ForwardTiles(1, block, 4, True), BackwardTiles(rows, block, 4, 3, groups, False, True)


def kept_places(options: Options, given: Inputs) -> Tensor | None:
    """What dropout keeps, found by adding ones to zeros."""
    if not options.drop:
        return None
    ones = replace(given, x=torch.ones_like(given.x), residual=torch.zeros_like(given.x))
    return forward(options, ones, whole(given.x.shape[1])[0])["total"] != 0


def computed(options: Options, given: Inputs, tiles: tuple[ForwardTiles, BackwardTiles]) -> dict[str, Tensor]:
    out = forward(options, given, tiles[0])
    gradients = backward(options, given, out, tiles[1])
    return {name: out[name] for name in ("y", "total") if name in out} | {f"d_{k}": v for k, v in gradients.items()}


def hold(options: Options, given: Inputs, tiles: tuple[ForwardTiles, BackwardTiles]) -> None:
    """Equal to what rounding in float32 over sums of their length allows."""
    found = computed(options, given, tiles)
    want = reference(options, given, torch.float64, kept_places(options, given))
    M, width = given.x.shape
    assert found.keys() == want.keys()
    for name, value in found.items():
        length = M if name in ("d_weight", "d_bias") else width
        allowed = 1e-5 * length**0.5 * max(1.0, want[name].abs().max().item())
        assert (value - want[name]).abs().max().item() <= allowed, name


def drawn(seed: int) -> tuple[Options, Inputs, tuple[ForwardTiles, BackwardTiles]]:
    draw = random.Random(seed)
    layer, add = draw.random() < 0.5, draw.random() < 0.6
    weight = draw.random() < 0.9
    options = Options(
        layer=layer,
        weight=weight,
        bias=layer and weight and draw.random() < 0.7,
        offset=draw.choice((None, 1.0)) if weight else None,
        add=add,
        stream=draw.random() < 0.5,
        drop=draw.choice((0.0, 0.3)) if add else 0.0,
        eps=draw.choice((1e-5, 1e-6, 0.1)),
    )
    M, width = draw.choice((1, 2, 5, 9, 17)), draw.choice((1, 3, 64, 100, 129))
    rows, groups = draw.choice((1, 2, 8)), draw.choice((1, 3, 40))
    if width > 16 and draw.random() < 0.4:
        return options, inputs(options, M, width, seed), chunks(draw.choice((16, 32)), rows, groups)
    ahead, back = whole(width, rows, groups)
    return options, inputs(options, M, width, seed), (ahead, back._replace(again=draw.random() < 0.3))


@pytest.mark.parametrize("seed", range(40))
def test_options_together(seed: int) -> None:
    hold(*drawn(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 400))
def test_more_options_together(seed: int) -> None:
    hold(*drawn(seed))


EVERY = Options(layer=True, bias=True, offset=1.0, add=True, stream=True, drop=0.2)


@pytest.mark.parametrize("tiles", [whole(1000, 2), chunks(256, 2)], ids=["whole", "chunks"])
@pytest.mark.parametrize("layer", [False, True], ids=["rms", "layer"])
def test_wide_rows(layer: bool, tiles: tuple[ForwardTiles, BackwardTiles]) -> None:
    options = replace(EVERY, layer=layer, bias=layer)
    hold(options, inputs(options, 5, 1000), tiles)


@pytest.mark.parametrize("tiles", [whole(300), chunks(64)], ids=["whole", "chunks"])
def test_a_mean_that_is_large_against_the_spread(tiles: tuple[ForwardTiles, BackwardTiles]) -> None:
    options = Options(layer=True, bias=True)
    given = inputs(options, 6, 300)
    given = replace(given, x=given.x + 4096.0)
    want = reference(options, given, torch.float64)["y"]
    error = (forward(options, given, tiles[0])["y"] - want).abs().max()
    assert error <= 1e-3
    assert error <= 2.0 * (reference(options, given, torch.float32)["y"] - want).abs().max() + 1e-5


def errors(found: dict[str, Tensor], want: dict[str, Tensor]) -> dict[str, float]:
    return {name: (value.double() - want[name]).abs().max().item() for name, value in found.items()}


@pytest.mark.parametrize("tiles", [whole(200), chunks(64)], ids=["whole", "chunks"])
@pytest.mark.parametrize("layer", [False, True], ids=["rms", "layer"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_at_most_twice_the_error_of_pytorch(
    dtype: torch.dtype, layer: bool, tiles: tuple[ForwardTiles, BackwardTiles]
) -> None:
    """The weight is float32 in the kernel; it has the values that PyTorch's has."""
    options = Options(layer=layer, bias=layer, add=True, stream=True)
    given = inputs(options, 16, 200, dtype=dtype)
    want = reference(options, given, torch.float64)
    found, plain = errors(computed(options, given, tiles), want), errors(reference(options, given, dtype), want)
    for name, error in found.items():
        assert error <= 2.0 * plain[name], name


def test_each_tensor_has_its_own_dtype() -> None:
    """As under autocast: a stream and weights in float32, what goes to and comes from matrices in bfloat16."""
    given = inputs(EVERY, 5, 100)
    given = replace(given, x=given.x.bfloat16(), d_y=given.d_y.bfloat16())
    want = reference(EVERY, given, torch.float64, kept_places(EVERY, given))
    for tiles in (whole(100), chunks(32)):
        found = computed(EVERY, given, tiles)
        assert {name for name, value in found.items() if value.dtype == torch.bfloat16} == {"y", "d_x"}
        for name, value in found.items():
            rounding = 2.0**-8 if value.dtype == torch.bfloat16 else 1e-4
            torch.testing.assert_close(value.double(), want[name], rtol=rounding, atol=1e-4)


@pytest.mark.parametrize("tiles", [whole(100), chunks(32)], ids=["whole", "chunks"])
def test_what_is_normed_is_the_stream_as_stored(tiles: tuple[ForwardTiles, BackwardTiles]) -> None:
    options = Options(layer=True, bias=True)
    given = inputs(replace(options, add=True), 6, 100, dtype=torch.bfloat16)
    added = forward(replace(options, add=True), given, tiles[0])
    alone = forward(options, replace(given, x=added["total"], residual=None), tiles[0])
    assert torch.equal(added["y"], alone["y"])
    assert torch.equal(added["rstd"], alone["rstd"])


class TestDropout:
    options = Options(add=True, drop=0.25)

    def test_the_same_for_any_tiles_and_both_ways(self) -> None:
        given = inputs(self.options, 9, 50)
        keep = kept_places(self.options, given)
        assert keep is not None
        for tiles in (whole(50, 1, 1), whole(50, 8, 2), chunks(16), chunks(32, 2)):
            out = forward(self.options, given, tiles[0])
            assert torch.equal(out["total"] != given.residual, keep & (given.x != 0))
            gradients = backward(self.options, given, out, tiles[1])
            assert torch.equal(gradients["x"] != 0, keep & (gradients["residual"] != 0))
            torch.testing.assert_close(gradients["x"][keep], gradients["residual"][keep] / 0.75)

    def test_as_many_as_asked_and_no_two_rows_alike(self) -> None:
        keep = kept_places(self.options, inputs(self.options, 64, 512))
        assert keep is not None
        assert abs(keep.float().mean().item() - 0.75) < 0.01
        assert len({tuple(row.tolist()) for row in keep}) == 64
        other = kept_places(self.options, inputs(self.options, 64, 512, seed=1))
        assert not torch.equal(keep, other)  # pyright: ignore[reportArgumentType]


def test_sums_over_rows_in_any_groups() -> None:
    given = inputs(EVERY, 19, 20)
    first = computed(EVERY, given, whole(20, 4, 3))
    again = computed(EVERY, given, whole(20, 4, 3))
    assert all(torch.equal(first[name], again[name]) for name in first)
    for rows, groups in ((1, 1), (8, 19), (16, 2), (2, 132)):
        found = computed(EVERY, given, whole(20, rows, groups))
        for name in found:
            torch.testing.assert_close(found[name], first[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 64, 65, 132])
def test_as_many_parts_as_there_are(groups: int) -> None:
    parts = numbers(groups, 40, seed=groups)
    out = poisoned(40, dtype=torch.bfloat16)
    sum_parts(parts, out)
    assert written(out)
    torch.testing.assert_close(out, parts.sum(0).bfloat16(), rtol=2.0**-8, atol=0.0)


@pytest.mark.parametrize("width", [1, 3, 100, 768, 1000])
def test_the_tiles_that_are_taken(width: int) -> None:
    options = Options(layer=True, bias=True, stream=True)
    hold(options, inputs(options, 3, width), (forward_tiles(width, 4), backward_tiles(width, 4, 232_448, False)))


def test_tiles_of_every_width() -> None:
    """They are as wide as a row or cut it, and what is on its way to them fits into the memory there is."""
    for width in (1, 2, 3, 31, 768, 5120, 8192, 8193, 12288, 16384, 20000, 65536):
        ahead = forward_tiles(width, 2)
        assert ahead.wide or ahead.block >= width
        for entry, shared in itertools.product((2, 4), (232_448, 166_912, 101_376, 65_536)):
            back = backward_tiles(width, entry, shared, False)
            assert back.wide or back.block >= width
            assert back.stages == 1 or 6 * entry * back.rows * back.block < shared
            assert 1 <= back.programs <= 2


SHARED = {"sm_90": 232_448, "sm_80": 166_912, "gfx942": 65_536}
TYPES = {"M": "i32", "per": "i32", "P": "i32", "eps": "fp32", "offset": "fp32", "drop": "fp32", "seeds": "*i64"}
STATISTICS = ("mean", "rstd", "level", "along", "d_weight", "d_bias", "weight", "bias", "parts", "out")


def codes(
    options: Options, width: int, target: str, half: str = "bf16", stream: str = "bf16"
) -> dict[str, MachineCode]:
    """Of each kernel that the norm needs. The weight is float32; `half` is what goes to and comes from matrices."""
    features = options.features()
    entry = {"bf16": 2, "fp16": 2, "fp32": 4}[stream]
    ahead = forward_tiles(width, entry)
    back = backward_tiles(width, entry, SHARED[target], options.bias and options.drop > 0.0)
    types = TYPES | dict.fromkeys(STATISTICS, "*fp32") | dict.fromkeys(("y", "d_y", "d_branch"), f"*{half}")
    types |= dict.fromkeys(("residual", "total", "d_total", "d_x"), f"*{stream}")
    branch = options.add and (options.drop > 0.0 or half != stream)
    absent = {"weight", "d_weight"} if not options.weight else set()
    absent |= {"bias", "d_bias"} if not options.bias else set()
    absent |= {"mean", "level"} if not options.layer else set()
    absent |= {"seeds"} if not options.drop else set()
    absent |= {"residual", "total"} if not options.add else set()
    absent |= {"d_total"} if not options.stream else set()
    absent |= {"d_branch"} if not branch else set()
    absent |= {"level", "along"} if not back.wide else set()

    def code(module: str, name: str, constants: dict[str, Any], warps: int, x: str) -> MachineCode:
        kernel = getattr(template(module, interpreted=False), name)
        constants = {"WIDTH": width, **features, **dict.fromkeys(absent), **constants}
        constants = {p.name: constants[p.name] for p in kernel.params if p.name in constants}
        return compiled(kernel, types | {"x": f"*{x}"}, constants, TARGETS[target].warp_size * warps, target)

    tile = {"ROWS": ahead.rows, "BLOCK": ahead.block, "ADD": options.add}
    found = {
        "forward": code(
            "norm_forward",
            "norm_forward_wide" if ahead.wide else "norm_forward",
            tile,
            ahead.warps,
            half if options.add else stream,
        )
    }
    tile = {"ROWS": back.rows, "BLOCK": back.block, "STAGES": back.stages, "AGAIN": back.again, "WIDE": back.wide}
    tile |= {"STREAM": options.stream, "BRANCH": branch}
    found["backward"] = code("norm_backward", "norm_backward", tile, back.warps, stream)
    if back.wide:
        found["rows"] = code("norm_backward", "norm_backward_rows", {"BLOCK": MEANS[0]}, MEANS[1], stream)
    return found


def hold_compiled(options: Options, width: int, target: str, half: str = "bf16", stream: str = "bf16") -> None:
    for name, code in codes(options, width, target, half, stream).items():
        assert code.stack <= 64, name
        assert code.shared <= SHARED[target], name
        assert code.wide_loads > 0, name


PLAIN = Options()
LAYER = Options(layer=True, bias=True, add=True, stream=True)


@pytest.mark.parametrize("width", [768, 8192, 16384, 65536])
@pytest.mark.parametrize("options", [PLAIN, LAYER], ids=["rms", "layer-add"])
def test_machine_code(options: Options, width: int) -> None:
    hold_compiled(options, width, "sm_90")


@pytest.mark.slow
@pytest.mark.parametrize("target", SHARED)
@pytest.mark.parametrize("width", [768, 1024, 4096, 8192, 12288, 16384, 65536])
@pytest.mark.parametrize("options", [PLAIN, LAYER, EVERY, replace(EVERY, layer=False, bias=False)])
def test_machine_code_everywhere(options: Options, width: int, target: str) -> None:
    hold_compiled(options, width, target)
    hold_compiled(options, width, target, stream="fp32")
    hold_compiled(options, width, target, half="fp32", stream="fp32")


def test_parts_are_summed_in_registers() -> None:
    rows, columns = PARTS
    kernel = template("norm_backward", interpreted=False).norm_sum_parts
    code = compiled(
        kernel, {"parts": "*fp32", "out": "*bf16", "P": "i32"}, {"WIDTH": 768, "ROWS": rows, "BLOCK": columns}, 128
    )
    assert code.stack == 0
    assert code.wide_loads > 0
