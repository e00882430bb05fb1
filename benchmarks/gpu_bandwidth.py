"""Norms and the loss's own kernels, which are bound by memory: bytes a second, as a part of what a copy reaches, and
beside torch.compile and Liger-Kernel (where it is installed)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from gpu_attention import emitted_kernels
from torch import Tensor, nn
from torch._functorch import config

from dlspec.runtime.bench.liger import operation
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
                found[name] = _beside(_norms(word, width, x.view(-1, width)), Moved(2 * x.nbytes, 3 * x.nbytes, copy))
        rows, classes = (16, 256) if quick else LOGITS
        logits = torch.randn(rows, classes, device=device).bfloat16()
        found["cross-entropy"] = _beside(_losses(logits), Moved(logits.nbytes, 2 * logits.nbytes, copy))
    return found


def _copied(x: Tensor) -> float:
    """Bytes a second, read and written."""
    y = torch.empty_like(x)
    return 2 * x.nbytes / seconds_of(lambda: y.copy_(x), x.device)


@dataclass(frozen=True)
class Moved:
    """Bytes that have to be moved forward and backward, and how many of them a copy moves in a second."""

    forward: int
    backward: int
    copy: float


@dataclass(frozen=True)
class Way:
    """What is computed of `leaves`, the one that comes in first."""

    run: Callable[[], Tensor]
    leaves: Sequence[Tensor]


Ways = Iterator[tuple[str, Way]]


def _norms(word: str, width: int, x: Tensor) -> Ways:
    text = f"dlspec 1\nmodel Net: (x: [B, {width}]) -> (y: [B, {width}]) {{ norm: {word} as y }}\n"
    eps = {"LayerNorm": 1e-5, "RMSNorm": 1e-6}[word]
    module: nn.Module = getattr(emitted_kernels(text), word)(width, eps=eps)
    module.to(x.device, torch.bfloat16)
    x = x.detach().requires_grad_()
    parameters = [*module.parameters()]
    leaves = [x, *parameters]
    yield "ours", Way(lambda: module(x), leaves)
    plain = {"LayerNorm": F.layer_norm, "RMSNorm": F.rms_norm}[word]
    compiled = _compiled(lambda x, *parameters: plain(x, (width,), *parameters, eps=eps), x.device)
    yield "compiled", Way(lambda: compiled(*leaves), leaves)
    if word == "LayerNorm":
        liger = operation("layer_norm", "LigerLayerNormFunction")
        run = partial(liger, x, *parameters, eps) if liger else None
    else:
        liger = operation("rms_norm", "LigerRMSNormFunction")
        # As Llama's, whose statistics are in float32, and not in place: the gradient by y is still needed, as by ours.
        run = partial(liger, x, *parameters, eps, 0.0, "llama", False) if liger else None
    if run is not None and x.is_cuda:
        yield "liger", Way(run, leaves)


def _losses(logits: Tensor) -> Ways:
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
    kernels = emitted_kernels(text)
    logits = logits.detach().requires_grad_()
    labels = torch.randint(classes, logits.shape[:1], device=logits.device)
    yield "ours", Way(lambda: kernels.cross_entropy(logits, labels), [logits])
    compiled = _compiled(F.cross_entropy, logits.device)
    yield "compiled", Way(lambda: compiled(logits, labels), [logits])
    liger = operation("cross_entropy", "LigerCrossEntropyFunction")
    if liger is not None and logits.is_cuda:
        # Its gradient lies where the logits were, so that it is measured last.
        yield "liger", Way(lambda: liger(logits, labels, None, -100)[0], [logits])


def _compiled(run: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    torch.compiler.reset()  # which compiles a function for a few shapes, and then no more
    made: Any = torch.compile(run, dynamic=False, backend="inductor" if device.type == "cuda" else "eager")
    return made


def _beside(ways: Ways, moved: Moved) -> dict[str, Any]:
    """Of the bytes a second of a copy, the part that each way reaches; `both` is one pass after the other, since some
    do the work of backward forward."""
    found: dict[str, Any] = {}
    for name, way in ways:
        try:
            found[name] = _parts(way, moved)
        except RuntimeError as error:
            found[name] = {"failed": str(error).splitlines()[0]}
        mine, its = found["ours"].get("both"), found[name].get("both")
        if name != "ours" and mine and its:
            found[name]["both_ratio"] = round(mine / its, 3)
    return found


def _parts(way: Way, moved: Moved) -> dict[str, float]:
    with config.patch(donated_buffer=False):  # a compiled pass is run again over what it has kept
        y = way.run()
        change = torch.randn_like(y)

        def both() -> None:
            torch.autograd.grad(way.run(), way.leaves, change)

        forward = seconds_of(way.run, y.device)
        backward = seconds_of(lambda: torch.autograd.grad(y, way.leaves, change, retain_graph=True), y.device)
        taken = {
            "forward": moved.forward / forward,
            "backward": moved.backward / backward,
            "both": (moved.forward + moved.backward) / seconds_of(both, y.device),
        }
    return {name: round(speed / moved.copy, 3) for name, speed in taken.items()}
