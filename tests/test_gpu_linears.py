"""Linear layers of one input as one product on a GPU, against float64 and beside PyTorch's own products."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from triton_files import compiled

from dlspec.runtime.program import load_text

if not torch.cuda.is_available():
    pytest.skip("needs a GPU, and there is none here", allow_module_level=True)


@pytest.fixture(scope="module", params=[True, False], ids=["", "without biases"])
def bias(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def kernels(bias: bool) -> ModuleType:
    layer = f"SelfAttention(12, kv_heads = 4, bias = {str(bias).lower()})"
    artefact = compiled(f"dlspec 1\nmodel Net: (x: [B, T, 768]) -> (y: [B, T, 768]) {{ {layer} }}\n")
    return load_text("net_kernels", artefact.kernels["net_kernels.py"])


def run(layers: nn.ModuleList, x: Tensor, kernels: ModuleType | None) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = [layer(x) for layer in layers] if kernels is None else kernels.linears(x, *layers)
    draw = torch.Generator("cuda").manual_seed(1)
    d = [torch.randn(one.shape, generator=draw, device="cuda").to(one.dtype) for one in y]
    return [*y, *torch.autograd.grad(y, [x, *layers.parameters()], d)]


@pytest.mark.parametrize("autocast", [False, True], ids=["", "under autocast"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=["fp32", "bf16", "fp16"])
def test_at_most_twice_the_error_of_pytorch(
    dtype: torch.dtype, autocast: bool, bias: bool, kernels: ModuleType
) -> None:
    if autocast and dtype != torch.float32:
        pytest.skip("autocast is for weights in float32")
    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Linear(768, width, bias=bias) for width in (768, 256, 256)).to("cuda", dtype)
    x = torch.randn(3, 170, 768, device="cuda").to(dtype)
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        ours, again, theirs = run(layers, x, kernels), run(layers, x, kernels), run(layers, x, None)
    exact = run(layers.double(), x.double(), None)
    # In float32 the order of sums makes more than its rounding.
    precise = max(1e-5, torch.finfo(torch.bfloat16 if autocast else dtype).eps)
    for a, b, other, true in zip(ours, again, theirs, exact, strict=True):
        assert a.dtype == other.dtype and torch.equal(a, b)
        assert (a - true).abs().max() <= torch.maximum(2 * (other - true).abs().max(), precise * true.abs().max())


def test_outputs_are_rows_of_one_tensor(bias: bool, kernels: ModuleType) -> None:
    """Which the kernels of attention read as they are."""
    layers = nn.ModuleList(nn.Linear(768, width, bias=bias) for width in (768, 256, 256)).to("cuda", torch.bfloat16)
    x = torch.randn(2, 64, 768, device="cuda", dtype=torch.bfloat16)
    for one in kernels.linears(x, *layers):
        heads = one.unflatten(-1, (-1, 64))
        assert kernels.rows(heads).data_ptr() == heads.data_ptr() and heads.stride(1) == 1280
