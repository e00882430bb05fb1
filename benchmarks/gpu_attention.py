"""Attention's own kernels beside PyTorch's: how right in half precision, how fast forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from dlspec.compiler.pipeline import analyse, emit
from dlspec.grammar import Source
from dlspec.runtime.bench.measure import on_own_stream, seconds_of
from dlspec.runtime.program import load_text

TOKENS = 16_384
"""Of a batch, whatever the length."""
PEERS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}


def kernels_of(width: int, heads: int, options: str) -> ModuleType:
    """The emitted file of a model whose one attention this is, as a module."""
    dim = width * heads
    text = f"""\
dlspec 1
model Net: (x: [B, T, {dim}]) -> (y: [B, T, {dim}]) {{
  x -> attn: SelfAttention({heads}{options}) as y
}}
"""
    return emitted_kernels(text)


def emitted_kernels(text: str) -> ModuleType:
    """The file of kernels of a spec."""
    artefact = emit(analyse(Source("net.dlspec", text)), kernels="triton")
    (name,) = artefact.kernels
    return load_text(name.removesuffix(".py"), artefact.kernels[name])


def attentions(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """TFLOP/s of the emitted kernels and of PyTorch's, with the ratio; `equal` where no error is twice theirs."""
    found: dict[str, Any] = {}
    equal = True
    for width, causal in product((64, 128), (False, True)):
        with on_own_stream(device):
            kernels = kernels_of(width, 2 if quick else 2048 // width, ", causal = true" if causal else "")
            for length in (128,) if quick else (1024, 16_384):
                name = f"{'causal' if causal else 'full'}, heads of {width}, {length} long"
                found[name], right = _case(kernels.attention, width, length, device, causal=causal, quick=quick)
                equal = equal and right
    return {"equal": equal, "attentions": found}


def _case(
    attention: Callable[..., Tensor], width: int, length: int, device: torch.device, *, causal: bool, quick: bool
) -> tuple[dict[str, Any], bool]:
    heads, batch = (2, 1) if quick else (2048 // width, TOKENS // length)
    draw = torch.Generator(device).manual_seed(0)
    shape = (batch, length, heads, width)
    q, k, v = (torch.randn(shape, generator=draw, device=device).bfloat16().requires_grad_() for _ in range(3))
    change = torch.randn(shape, generator=draw, device=device).bfloat16()
    flops = 4 * batch * heads * length**2 * width * (0.5 if causal else 1.0)

    def pytorch() -> Tensor:
        return _by_pytorch(q, k, v, causal=causal)

    ours = _speeds(lambda: attention(q, k, v), (q, k, v), change, flops)
    found: dict[str, Any] = {"ours": ours}
    for name, backend in PEERS.items() if device.type == "cuda" else ():
        with sdpa_kernel(backend):
            found[name] = _speeds(pytorch, (q, k, v), change, flops)
        found[name] |= {f"{way}_ratio": round(ours[way] / found[name][way], 3) for way in ("forward", "backward")}
    return found, _right(attention(q, k, v), pytorch(), q, k, v, causal=causal)


def _by_pytorch(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def _right(ours: Tensor, theirs: Tensor, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> bool:
    """Of the first head, against float64: at most twice as far off as PyTorch's."""
    first = [x[:1, :, :1].detach().double() for x in (q, k, v)]
    want = _by_pytorch(first[0], first[1], first[2], causal=causal)
    off = [(y[:1, :, :1].detach().double() - want).abs().max().item() for y in (ours, theirs)]
    return off[0] <= 2 * off[1] + 1e-6


def _speeds(run: Callable[[], Tensor], leaves: tuple[Tensor, ...], change: Tensor, flops: float) -> dict[str, float]:
    """TFLOP/s; the backward pass counts as two and a half of the forward."""
    y = run()
    forward = seconds_of(run, y.device)
    backward = seconds_of(lambda: torch.autograd.grad(y, leaves, change, retain_graph=True), y.device)
    return {"forward": round(flops / forward / 1e12, 3), "backward": round(2.5 * flops / backward / 1e12, 3)}
