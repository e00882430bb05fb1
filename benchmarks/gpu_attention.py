"""Attention's own kernels beside PyTorch's: how right in half precision, how fast forward and backward; and with all
options together, for which PyTorch has no kernel, beside themselves without."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from gpu_uses import Emitted, figures, use_of
from torch import Tensor

from dlspec.runtime.bench.kernels import OURS, measure_use, measure_way, plain_form
from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.kinds.base import Rival
from dlspec.runtime.bench.use import Use

LENGTH = 16_384
WINDOW, DOCUMENT = 1024, 4096
"""How far a query sees, and how long each document is, where options are combined."""
OPTIONS = ", causal = true, window = 4, alibi = true, softcap = 30, documents = documents, dropout = 0.1"


def attentions(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """TFLOP/s over what is seen of the emitted kernels and of PyTorch's; `equal` where no error is twice theirs."""
    found: dict[str, Any] = {}
    equal = True
    for width in (64, 128):
        for options in ("", ", causal = true"):
            use, kernels, _ = _attention(width, options, device, quick=quick)
            name = f"{'causal' if options else 'full'}, heads of {width}"
            found[name] = figures(measure_use(use, kernels, device).ways)
            equal = equal and _right(use, kernels, causal=bool(options))
        use = _attention(width, OPTIONS, device, quick=quick).use
        combined = measure_way(use, kind_of(use.entry.kind), Rival(OURS, use.run), device)
        found[f"combined, heads of {width}"] = figures([combined])
    return {"equal": equal, "attentions": found}


def _attention(width: int, options: str, device: torch.device, *, quick: bool) -> Emitted:
    """q, k and v [1, length, heads, width], drawn once, and what the options take besides."""
    heads, length = (2, 128) if quick else (2048 // width, LENGTH)
    documents = ", documents: int[B, T]" if "= documents" in options else ""
    dim = width * heads
    text = f"""\
dlspec 1
model Net: (x: [B, T, {dim}]{documents}) -> (y: [B, T, {dim}]) {{
  x -> attn: SelfAttention({heads}{options}) as y
}}
"""
    draw = torch.Generator(device).manual_seed(0)
    shape = (1, length, heads, width)
    values: dict[str, Any] = {
        name: torch.randn(shape, generator=draw, device=device).bfloat16().requires_grad_() for name in "qkv"
    }
    if documents:
        window, document = (16, 32) if quick else (WINDOW, DOCUMENT)
        values["documents"] = (torch.arange(length, device=device) // document)[None]
        values["slopes"] = 2.0 ** -torch.arange(1, heads + 1, device=device)
        values |= {"window": window, "softcap": 30.0, "dropout": 0.1}
    return use_of(text, "attention", values)


def _right(use: Use, kernels: ModuleType, *, causal: bool) -> bool:
    """Of the first head, against float64: at most twice as far off as PyTorch's."""
    q, k, v = (use.tensors[name][:1, :, :1].detach().double().transpose(1, 2) for name in "qkv")
    want = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)

    def off(y: Tensor) -> float:
        return (y[:1, :, :1].detach().double() - want).abs().max().item()

    ours = off(use.call())
    with plain_form(use, kernels).within():
        return ours <= 2 * off(use.call()) + 1e-6
