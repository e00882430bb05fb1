"""The templates around the product of a linear layer in Triton's interpreter, against float64; what they compile to."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from triton import knobs
from triton_files import specialised_module
from triton_machine_code import TARGETS, compiled
from triton_templates import interpreting, template

from dlspec.compiler.backends.triton.activated_features import KERNELS
from dlspec.compiler.backends.triton.specialise import specialise
from dlspec.runtime.program import load_text

HALVES = [torch.bfloat16, torch.float16]
SIZES = [(1, 1), (1, 200), (7, 3), (37, 130), (100, 64)]
"""Rows and columns: less than a tile has, more, and no multiple of one."""


def numbers(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Such as bfloat16 and float16 have, too."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16().to(dtype)


def poisoned(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A place that is not written is not a number."""
    return torch.full(shape, float("nan"), dtype=dtype)


@interpreting()
def summed(x: Tensor, per: int, dtype: torch.dtype) -> Tensor:
    """In parts of `per` rows, and then these, as the launcher has it. Rows of x may lie apart."""
    sum_columns = template("linear").sum_columns
    (M, N), groups = x.shape, -(-x.shape[0] // per)
    parts, sums = poisoned(groups, N), poisoned(N, dtype=dtype)
    sum_columns[(-(-N // 64), groups)](x, parts, x.stride(0), M, N, per, ROWS=16, BLOCK=64)
    sum_columns[(-(-N // 32), 1)](parts, sums, N, groups, N, groups, ROWS=8, BLOCK=32)
    return sums


@interpreting()
def activated(x: Tensor, d_y: Tensor, per: int) -> list[Tensor]:
    """y, d_x, and the sums of its columns."""
    kernels = template("linear")
    (M, N), groups = x.shape, -(-x.shape[0] // per)
    y, d_x, parts = torch.full_like(x, float("nan")), torch.full_like(x, float("nan")), poisoned(groups, N)
    kernels.activation_forward[(-(-x.numel() // 256),)](x, y, x.numel(), BLOCK=256)
    kernels.activation_backward[(-(-N // 64), groups)](x, d_y, d_x, parts, M, N, per, ROWS=16, BLOCK=64)
    return [y, d_x, parts.sum(0)]


def wanted(x: Tensor, d_y: Tensor, dtype: torch.dtype) -> list[Tensor]:
    x = x.detach().to(dtype).requires_grad_()
    y = F.silu(x)
    (d_x,) = torch.autograd.grad(y, x, d_y.to(dtype))
    return [y.detach(), d_x, d_x.sum(0)]


@pytest.mark.parametrize("per", [20, 1000])
@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_sums_against_float64(rows: int, columns: int, per: int) -> None:
    x = numbers(rows, columns, seed=rows)
    allowed = 1e-5 * rows**0.5
    for dtype in (torch.float32, *HALVES):
        found, want = summed(x.to(dtype), per, torch.float32), x.double().sum(0)
        assert (found - want).abs().max() <= allowed
        rounded = summed(x.to(dtype), per, dtype)
        # It was rounded once, at the end.
        assert torch.equal(rounded, found.to(dtype))
        apart = poisoned(rows, columns + 3, dtype=dtype)
        apart[:, :columns] = x
        assert torch.equal(summed(apart[:, :columns], per, torch.float32), found)


@pytest.mark.parametrize("per", [20, 1000])
@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_activations_against_float64(rows: int, columns: int, per: int) -> None:
    x, d_y = 2 * numbers(rows, columns, seed=rows), numbers(rows, columns, seed=rows + 1)
    for found, want in zip(activated(x, d_y, per), wanted(x, d_y, torch.float64), strict=True):
        assert (found - want).abs().max() <= 1e-5 * rows**0.5


@pytest.mark.parametrize("dtype", HALVES, ids=["bf16", "fp16"])
def test_at_most_twice_the_error_of_pytorch(dtype: torch.dtype) -> None:
    x, d_y = 2 * numbers(100, 70, seed=1, dtype=dtype), numbers(100, 70, seed=2, dtype=dtype)
    exact = wanted(x, d_y, torch.float64)
    for found, plain, right in zip(activated(x, d_y, 30), wanted(x, d_y, dtype), exact, strict=True):
        assert (found - right).abs().max() <= 2.0 * (plain - right).abs().max()


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_slope_of_no_number_outside_is_not_summed() -> None:
    """What is outside of x counts as 0, where the derivative of a logarithm for one is infinite."""
    slopes = {"activation_by_x": "@triton.jit\ndef activation_by_x(x):\n    return 1.0 / x\n"}
    made = specialise(KERNELS, {}, slopes, 1, "activation")
    with knobs.runtime.scope():
        knobs.runtime.interpret = True
        kernels = load_text("of_logarithm", "\n".join([*made.imports, "", "", made.text]))
    x, d_y = 1.0 + torch.rand(5, 3), torch.randn(5, 3)
    d_x, parts = torch.full_like(x, float("nan")), poisoned(2, 3)
    with interpreting():
        kernels.activation_backward[(1, 2)](x, d_y, d_x, parts, 5, 3, 3, ROWS=16, BLOCK=16)
    assert torch.allclose(d_x, d_y / x) and torch.allclose(parts.sum(0), (d_y / x).sum(0))


# --- What they compile to ---

_TYPES = dict.fromkeys(("x", "y", "d_y", "d_x"), "*bf16") | {"sums": "*fp32"} | dict.fromkeys("MN", "i32")
TYPES = _TYPES | {"per": "i32", "size": "i32", "row_step": "i32"}
LAUNCHES = {
    "sum_columns": ({"ROWS": 32, "BLOCK": 128}, 4),
    "activation_backward": ({"ROWS": 16, "BLOCK": 128}, 4),
    "activation_forward": ({"BLOCK": 4096}, 8),
}
"""Tiles and warps, as the launchers have them."""


def hold_machine_code(target: str) -> None:
    """All in registers, little shared memory, loads of 16 bytes; so few registers that a multiprocessor has the eight
    programs that keep its memory busy."""
    kernels = template("linear", interpreted=False)
    for name, (constants, warps) in LAUNCHES.items():
        threads = warps * TARGETS[target].warp_size
        code = compiled(
            getattr(kernels, name), TYPES, constants, threads, target, multiples_of_16=("N", "size", "row_step")
        )
        assert code.stack == 0, name
        assert code.shared <= 8192, name
        assert code.wide_loads >= 1, name
        assert 32 * warps * code.registers * 8 <= 65_536 or name == "activation_forward", name


def test_machine_code() -> None:
    hold_machine_code("sm_90")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_machine_code_elsewhere(target: str) -> None:
    hold_machine_code(target)


def test_the_same_machine_code_as_the_template() -> None:
    own = {
        **vars(specialised_module(KERNELS, {}, "activation")),
        **vars(specialised_module(("linear.sum_columns",), {}, "columns")),
    }
    whole = template("linear", interpreted=False)
    with knobs.compilation.scope():
        knobs.compilation.disable_line_info = True
        for name, (constants, warps) in LAUNCHES.items():
            texts = [
                compiled(kernel, TYPES, constants, 32 * warps, multiples_of_16=("N", "size", "row_step")).text
                for kernel in (getattr(whole, name), own[name])
            ]
            assert texts[0] == texts[1], name
