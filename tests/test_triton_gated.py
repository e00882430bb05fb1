"""The templates of gated activations in Triton's interpreter, against PyTorch in float64; what they compile to."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from triton import knobs
from triton.runtime.jit import JITFunction
from triton_files import compiled as emitted_files
from triton_files import specialised_module
from triton_machine_code import compiled
from triton_templates import interpreting, template

from dlspec.compiler.backends.triton.gated_features import KERNELS
from dlspec.runtime.program import load_text

SIZES = [(1, 1, 16), (7, 3, 16), (5, 64, 128), (9, 100, 64), (3, 1000, 4096)]


def numbers(*shape: int, seed: int) -> Tensor:
    """Such as bfloat16 and float16 have, too."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16().float()


def inputs(rows: int, width: int, dtype: torch.dtype, joined: bool) -> tuple[Tensor, Tensor, Tensor]:
    """gate, up, d_out [rows, width]; gate and up are parts of one matrix if `joined`."""
    both = 3.0 * numbers(rows, 2 * width, seed=rows).to(dtype)
    gate, up = both.split(width, 1)
    if not joined:
        gate, up = gate.contiguous(), up.contiguous()
    return gate, up, numbers(rows, width, seed=rows + 1).to(dtype)


@interpreting()
def computed(gate: Tensor, up: Tensor, d_out: Tensor, block: int) -> list[Tensor]:
    """out, d_gate, d_up; a place that is not written is not a number."""
    kernels = template("gated")
    rows, width = gate.shape
    joined = not gate.is_contiguous()
    out = torch.full_like(d_out, float("nan"))
    gradients = torch.full((2, rows, width), float("nan"), dtype=gate.dtype)
    d_gate, d_up = gradients
    if joined:
        d_gate, d_up = gradients.view(rows, 2 * width).split(width, 1)
    grid = (-(-out.numel() // block),)
    constants = {"BLOCK": block, "WIDTH": width, "JOINED": joined}
    kernels.gated_forward[grid](gate, up, out, out.numel(), **constants)
    kernels.gated_backward[grid](gate, up, d_out, d_gate, d_up, out.numel(), **constants)
    return [out, d_gate, d_up]


def wanted(gate: Tensor, up: Tensor, d_out: Tensor, dtype: torch.dtype) -> list[Tensor]:
    leaves = [x.detach().to(dtype).requires_grad_() for x in (gate, up)]
    out = F.silu(leaves[0]) * leaves[1]
    return [out.detach(), *torch.autograd.grad(out, leaves, d_out.to(dtype))]


@pytest.mark.parametrize("joined", [False, True], ids=["apart", "joined"])
@pytest.mark.parametrize(
    ("rows", "width", "block"), [(1, 1, 16), (7, 3, 16), (5, 64, 128), (9, 100, 64), (3, 1000, 4096)]
)
def test_against_float64(rows: int, width: int, block: int, joined: bool) -> None:
    given = inputs(rows, width, torch.float32, joined and rows > 1)
    for found, want in zip(computed(*given, block), wanted(*given, torch.float64), strict=True):
        torch.testing.assert_close(found.double(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_at_most_twice_the_error_of_pytorch(dtype: torch.dtype) -> None:
    given = inputs(20, 100, dtype, True)
    want = wanted(*given, torch.float64)
    for found, plain, right in zip(computed(*given, 512), wanted(*given, dtype), want, strict=True):
        assert (found - right).abs().max() <= 2.0 * (plain - right).abs().max()


def hold_machine_code(kernels: ModuleType, target: str, **features: int) -> None:
    types = dict.fromkeys(("gate", "up", "out", "d_out", "d_gate", "d_up"), "*bf16") | {"N": "i32"}
    constants = {"BLOCK": 4096, **features}
    for kernel in (kernels.gated_forward, kernels.gated_backward):
        code = compiled(kernel, types, constants, 256, target, multiples_of_16=("N",))
        assert code.stack == 0
        assert code.shared == 0
        assert code.wide_loads >= 2


@pytest.mark.parametrize("joined", [False, True], ids=["apart", "joined"])
def test_machine_code(joined: bool) -> None:
    hold_machine_code(template("gated", interpreted=False), "sm_90", WIDTH=11008, JOINED=joined)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("width", [3072, 11008, 28672])
def test_machine_code_elsewhere(width: int, target: str) -> None:
    for joined in (False, True):
        hold_machine_code(template("gated", interpreted=False), target, WIDTH=width, JOINED=joined)


def emitted(activation: str, *, joined: bool = False) -> ModuleType:
    """The kernels of a model, for the compiler."""
    apart = f"(Linear(128) -> {activation}) * Linear(128)"
    body = f"Linear(256) -> split(2) as a, b\n(a -> {activation}) * b" if joined else apart
    text = f"dlspec 1\nmodel Net: (x: [B, 8]) -> (y: [B, 128]) {{\n{body}\n}}\n"
    with knobs.runtime.scope():
        knobs.runtime.interpret = False
        return load_text("kernels_to_compile", emitted_files(text).kernels["net_kernels.py"])


@pytest.mark.parametrize("joined", [False, True], ids=["apart", "joined"])
def test_the_same_machine_code_as_the_template(joined: bool) -> None:
    features = {"JOINED": joined, **({"WIDTH": 128} if joined else {})}
    own = specialised_module(KERNELS, features, "gated")
    types = dict.fromkeys(("gate", "up", "out", "d_out", "d_gate", "d_up"), "*bf16") | {"N": "i32"}
    for name in ("gated_forward", "gated_backward"):
        want = machine_text(getattr(template("gated", interpreted=False), name), types, {"WIDTH": 0, **features})
        assert machine_text(getattr(own, name), types, {}) == want


def machine_text(kernel: JITFunction[object], types: dict[str, str], constants: dict[str, int]) -> str:
    with knobs.compilation.scope():
        knobs.compilation.disable_line_info = True
        return compiled(kernel, types, {"BLOCK": 1024, **constants}, 128, multiples_of_16=("N",)).text


@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu(approximate = tanh)"])
def test_machine_code_of_what_is_emitted(activation: str) -> None:
    hold_machine_code(emitted(activation), "sm_90")
    hold_machine_code(emitted(activation, joined=True), "sm_90")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_90", "sm_80", "gfx942"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "mish", "swish(2)", "elu", "selu", "softplus"])
def test_machine_code_of_what_is_emitted_elsewhere(activation: str, target: str) -> None:
    hold_machine_code(emitted(activation), target)
