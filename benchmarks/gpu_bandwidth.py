"""Norms and the loss's own kernels, which are bound by memory: bytes a second, as a part of what a copy reaches, and
beside torch.compile and Liger-Kernel (where it is installed)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gpu_uses import Emitted, figures, use_of
from torch import Tensor

from dlspec.runtime.bench.kernels import measure_use
from dlspec.runtime.bench.measure import on_own_stream, seconds_of

ENTRIES = 2**26
"""Of what is normed, whatever its width."""
WIDTHS = (1024, 4096, 16_384)
LOGITS = (8192, 50_304)
EPS: Mapping[str, float] = {"LayerNorm": 1e-5, "RMSNorm": 1e-6}


def bandwidths(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """In bf16. A norm reads x and writes y, and backward reads x and the gradient by y and writes that by x; a loss
    reads the logits, and backward reads them again and writes their gradient."""
    entries = 2**12 if quick else ENTRIES
    x = torch.randn(entries, device=device).bfloat16()
    copy = copied(x) / 1e9
    found: dict[str, Any] = {"copy_gigabytes_per_second": round(copy, 1)}
    for word in EPS:
        for width in (64,) if quick else WIDTHS:
            use, kernels, _ = norm_of(word, x.view(-1, width))
            found[f"{word}, {width} wide"] = figures(measure_use(use, kernels, device).ways, copy)
    rows, classes = (16, 256) if quick else LOGITS
    found["cross-entropy"] = _loss(torch.randn(rows, classes, device=device).bfloat16(), copy)
    return found


def copied(x: Tensor) -> float:
    """Bytes a second, read and written."""
    y = torch.empty_like(x)
    with on_own_stream(x.device):
        return 2 * x.nbytes / seconds_of(lambda: y.copy_(x), x.device)


def norm_of(word: str, x: Tensor) -> Emitted:
    """A call of a norm of the rows of x, with weights of its dtype."""
    width = x.shape[1]
    text = f"dlspec 1\nmodel Net: (x: [B, {width}]) -> (y: [B, {width}]) {{ norm: {word} as y }}\n"

    def made(kind: Any) -> Any:
        return kind(width, eps=EPS[word]).to(x.device, torch.bfloat16)

    return use_of(text, word, {"x": x.detach().requires_grad_()}, made)


def _loss(logits: Tensor, copy: float) -> dict[str, Any]:
    classes = logits.shape[1]
    text = f"""\
dlspec 1
model Net: (tokens: int[B, T <= 16]) -> (logits: [B, T, {classes}]) {{
  Embedding(256, 16) -> Linear({classes}) -> gelu
}}
train Net {{
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 1
  batch = 1
}}
"""
    labels = torch.randint(classes, logits.shape[:1], device=logits.device)
    use, kernels, _ = use_of(text, "cross_entropy", {"logits": logits.requires_grad_(), "labels": labels})
    return figures(measure_use(use, kernels, logits.device).ways, copy)
