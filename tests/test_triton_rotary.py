"""The template of rotary embedding in Triton's interpreter, against its definition in float64; its machine code."""

from __future__ import annotations

import re

import pytest
import torch
import triton
from torch import Tensor
from triton import knobs
from triton_files import specialised_module
from triton_machine_code import compiled
from triton_templates import interpreting, template

from dlspec.compiler.layers.rotary_torch import ROTARY


def tables(length: int, D: int) -> tuple[Tensor, Tensor]:
    half = D // 2
    frequency = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    return angle.cos(), angle.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """[B, T, heads, D], as the definition has it, in the dtype of its inputs."""
    left, right = x.chunk(2, -1)
    c, s = (table[: x.shape[1], None] for table in (cos, sin))
    return torch.cat((left * c - right * s, right * c + left * s), -1)


def run(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *, back: bool = False, block: int = 8) -> tuple[Tensor, Tensor]:
    """The kernel, in outputs that are NaN before; rows of q and k may lie apart."""
    (B, T, heads, D), (S, kv_heads) = q.shape, k.shape[1:3]
    q_out, k_out = (torch.full(x.shape, float("nan"), dtype=x.dtype) for x in (q, k))
    blocks = triton.cdiv(B * T * heads, block) + triton.cdiv(B * S * kv_heads, block)
    with interpreting():
        template("rotary").turn_both[(blocks,)](
            q, k, q_out, k_out, cos.float(), sin.float(), q.stride(1), k.stride(1), B, T, S, heads, kv_heads,
            BLOCK=block, HALF=D // 2, PADDED=triton.next_power_of_2(D // 2), BACK=back,
        )  # fmt: skip
    return q_out, k_out


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("back", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize(
    ("B", "T", "heads", "kv_heads", "D"),
    [(1, 1, 1, 1, 2), (2, 5, 3, 3, 4), (1, 7, 4, 1, 6), (2, 3, 4, 2, 64), (1, 9, 2, 1, 48), (1, 2, 1, 1, 256)],
)
def test_float32(B: int, T: int, heads: int, kv_heads: int, D: int, back: bool) -> None:
    q, k = numbers(B, T, heads, D, seed=1), numbers(B, T, kv_heads, D, seed=2)
    cos, sin = tables(T + 3, D)
    for got, x in zip(run(q, k, cos, sin, back=back), (q, k), strict=True):
        torch.testing.assert_close(got.double(), turned(x.double(), cos, -sin if back else sin), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_errs_at_most_twice_as_much_as_pytorch(dtype: torch.dtype) -> None:
    q, k = (numbers(2, 6, heads, 32, seed=heads).to(dtype) for heads in (4, 2))
    cos, sin = tables(6, 32)
    for got, x in zip(run(q, k, cos, sin), (q, k), strict=True):
        exact = turned(x.double(), cos, sin)
        pytorch = turned(x, cos.to(dtype), sin.to(dtype))
        assert (got - exact).abs().max() <= 2 * (pytorch - exact).abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_module_of_emitted_models_has_the_same_numbers(dtype: torch.dtype) -> None:
    """Of [B, heads, T, D], to what one rounding makes of it."""
    names: dict[str, object] = {"torch": torch, "nn": torch.nn, "Tensor": Tensor}
    exec("from __future__ import annotations\n" + ROTARY, names)
    module = names["Rotary"](8, 16, 10_000.0)  # type: ignore[operator]
    q, k = (numbers(2, 8, heads, 16, seed=heads).to(dtype) for heads in (4, 2))
    for got, x in zip(run(q, k, module.cos, module.sin), (q, k), strict=True):
        torch.testing.assert_close(
            got, module(x.transpose(1, 2)).transpose(1, 2), atol=1e-6, rtol=2 * torch.finfo(dtype).eps
        )


def test_keys_may_be_longer_or_shorter() -> None:
    """As where queries look at another sequence."""
    cos, sin = tables(9, 8)
    for T, S in ((3, 9), (9, 3)):
        q, k = numbers(2, T, 4, 8, seed=1), numbers(2, S, 2, 8, seed=2)
        for got, x in zip(run(q, k, cos, sin), (q, k), strict=True):
            torch.testing.assert_close(got.double(), turned(x.double(), cos, sin), atol=1e-5, rtol=0)


def test_rows_may_lie_apart() -> None:
    """As where one projection makes queries, keys and values."""
    B, T, heads, kv_heads, D = 2, 5, 4, 2, 8
    together = numbers(B, T, heads + 2 * kv_heads, D, seed=3)
    q, k = together[:, :, :heads], together[:, :, heads : heads + kv_heads]
    cos, sin = tables(T, D)
    apart, whole = run(q, k, cos, sin), run(q.contiguous(), k.contiguous(), cos, sin)
    assert all(torch.equal(a, b) for a, b in zip(apart, whole, strict=True))


def test_backward_is_the_gradient() -> None:
    q, k = numbers(1, 6, 4, 16, seed=4), numbers(1, 6, 2, 16, seed=5)
    d_q, d_k = numbers(1, 6, 4, 16, seed=6), numbers(1, 6, 2, 16, seed=7)
    cos, sin = tables(6, 16)
    for got, x, d_out in zip(run(d_q, d_k, cos, sin, back=True), (q, k), (d_q, d_k), strict=True):
        leaf = x.double().requires_grad_()
        (wanted,) = torch.autograd.grad(turned(leaf, cos, sin), leaf, d_out.double())
        torch.testing.assert_close(got.double(), wanted, atol=1e-5, rtol=0)


def test_turned_back_it_is_what_it_was_and_its_scores_depend_on_distance() -> None:
    q, k = numbers(1, 1, 2, 32, seed=8).expand(1, 12, 2, 32), numbers(1, 1, 2, 32, seed=9).expand(1, 12, 2, 32)
    cos, sin = tables(12, 32)
    turned_q, turned_k = run(q.contiguous(), k.contiguous(), cos, sin)
    for got, x in zip(run(turned_q, turned_k, cos, sin, back=True), (q, k), strict=True):
        torch.testing.assert_close(got, x, atol=1e-5, rtol=0)
    scores = torch.einsum("bthd,bshd->bhts", turned_q, turned_k)
    torch.testing.assert_close(scores[..., 1:, 1:], scores[..., :-1, :-1], atol=1e-4, rtol=0)


def test_any_tile_gives_the_same_bits() -> None:
    q, k = numbers(2, 5, 3, 12, seed=10), numbers(2, 5, 1, 12, seed=11)
    cos, sin = tables(5, 12)
    first, *others = [run(q, k, cos, sin, block=block) for block in (1, 4, 64)]
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


# --- Machine code ---


def hold_machine_code(target: str, D: int, dtype: str) -> None:
    pointers = dict.fromkeys(("q", "k", "q_out", "k_out"), f"*{dtype}") | {"cos": "*fp32", "sin": "*fp32"}
    lengths = dict.fromkeys(("q_row", "k_row", "B", "T", "S", "heads", "kv_heads"), "i32")
    padded = triton.next_power_of_2(D // 2)
    for back in (False, True):
        constants = {"HALF": D // 2, "PADDED": padded, "BLOCK": 1024 // padded, "BACK": back}
        kernel = template("rotary", interpreted=False).turn_both
        code = compiled(kernel, pointers | lengths, constants, 128, target, multiples_of_16=("q_row", "k_row"))
        assert code.stack == 0
        assert code.wide_loads >= 4, "left and right of queries and keys"


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("D", [64, 96, 128])
def test_machine_code(D: int, dtype: str) -> None:
    hold_machine_code("sm_90", D, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("D", [64, 96, 128])
def test_machine_code_elsewhere(target: str, D: int, dtype: str) -> None:
    hold_machine_code(target, D, dtype)


def test_the_same_machine_code_as_the_template() -> None:
    own = specialised_module(["rotary.turn_both"], {"HALF": 32, "PADDED": 32}, "rotary").rotary_turn_both
    pointers = dict.fromkeys(("q", "k", "q_out", "k_out"), "*bf16") | {"cos": "*fp32", "sin": "*fp32"}
    types = pointers | dict.fromkeys(("q_row", "k_row", "B", "T", "S", "heads", "kv_heads"), "i32")
    with knobs.compilation.scope():
        knobs.compilation.disable_line_info = True
        found = compiled(own, types, {"BLOCK": 32, "BACK": True}, 128).text
        kernel = template("rotary", interpreted=False).turn_both
        want = compiled(kernel, types, {"BLOCK": 32, "BACK": True, "HALF": 32, "PADDED": 32}, 128).text
    found, want = (re.sub(r"\s*//.*", "", text) for text in (found.replace("rotary_turn_both", "turn_both"), want))
    assert found == want
