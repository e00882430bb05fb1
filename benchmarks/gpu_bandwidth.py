"""Norms and the loss's own kernels, which are bound by memory: bytes a second, as a part of what a copy reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from gpu_attention import emitted_kernels
from torch import Tensor, nn

from dlspec.runtime.bench.measure import on_own_stream, seconds_of

ENTRIES = 2**26
"""Of what is normed, whatever its width."""
WIDTHS = (1024, 4096, 16_384)
LOGITS = (8192, 50_304)


def bandwidths(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """In bf16. A norm reads x and writes y, and backward reads x and the gradient by y and writes that by x; a loss
    reads the logits, and backward reads them again and writes their gradient."""
    entries = 2**12 if quick else ENTRIES
    x = torch.randn(entries, device=device).bfloat16()
    with on_own_stream(device):
        copy = _copied(x)
        found: dict[str, Any] = {"copy_gigabytes_per_second": round(copy / 1e9, 1)}
        for word in ("LayerNorm", "RMSNorm"):
            for width in (64,) if quick else WIDTHS:
                name = f"{word}, {width} wide"
                found[name] = _parts(_norm(word, width, x.view(-1, width)), 2 * x.nbytes, 3 * x.nbytes, copy)
        rows, classes = (16, 64) if quick else LOGITS
        logits = torch.randn(rows, classes, device=device).bfloat16()
        found["cross-entropy"] = _parts(_loss(logits), logits.nbytes, 2 * logits.nbytes, copy)
    return found


def _copied(x: Tensor) -> float:
    """Bytes a second, read and written."""
    y = torch.empty_like(x)
    return 2 * x.nbytes / seconds_of(lambda: y.copy_(x), x.device)


Pair = tuple[Callable[[], Tensor], Sequence[Tensor]]


def _norm(word: str, width: int, x: Tensor) -> Pair:
    text = f"dlspec 1\nmodel Net: (x: [B, {width}]) -> (y: [B, {width}]) {{ norm: {word} as y }}\n"
    module: nn.Module = getattr(emitted_kernels(text), word)(width)
    module.to(x.device, torch.bfloat16)
    x = x.detach().requires_grad_()
    return lambda: module(x), [x, *module.parameters()]


def _loss(logits: Tensor) -> Pair:
    text = """\
dlspec 1
model Net: (tokens: int[B, T <= 16]) -> (logits: [B, T, 256]) { Embedding(256, 16) -> Linear(256) -> gelu }
train Net {
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 1
  batch = 1
}
"""
    kernels = emitted_kernels(text)
    logits = logits.detach().requires_grad_()
    labels = torch.randint(logits.shape[1], logits.shape[:1], device=logits.device)
    return lambda: kernels.cross_entropy(logits, labels), [logits]


def _parts(pair: Pair, forward: int, backward: int, copy: float) -> dict[str, float]:
    run, leaves = pair
    y = run()
    change = torch.randn_like(y)
    seconds = {
        "forward": seconds_of(run, y.device),
        "backward": seconds_of(lambda: torch.autograd.grad(y, leaves, change, retain_graph=True), y.device),
    }
    moved = {"forward": forward, "backward": backward}
    return {way: round(moved[way] / took / copy, 3) for way, took in seconds.items()}
