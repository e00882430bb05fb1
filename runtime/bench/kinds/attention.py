"""Attention: its FLOPs over what is seen, and PyTorch's fused attentions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..use import Use
from .base import Kind, Rival

BACKENDS = {"cuDNN": SDPBackend.CUDNN_ATTENTION, "FlashAttention": SDPBackend.FLASH_ATTENTION}
_QUERIES = 1024
"""Taken at once where what is seen is counted."""


class Attention(Kind):
    """q [B, T, heads, width], k [B, S, kv_heads, width], v likewise of any width, and what else comes in, by name."""

    unit: ClassVar[str] = "TFLOP/s"

    def forward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Two products over each pair of a query and a key that it sees."""
        return self._work(use, 1, 1)

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Five products."""
        return self._work(use, 3, 2)

    def _work(self, use: Use, of_keys: int, of_values: int) -> int:
        """So many products as wide as a key, and as a value."""
        (_, _, heads, width), value_width = use.values["q"].shape, use.values["v"].shape[-1]
        return 2 * heads * (of_keys * width + of_values * value_width) * seen_pairs(use)

    def bytes_of_number(self, use: Use, *, backward: bool) -> int:
        """Of queries, as of keys and values; what else comes in is of its own dtype."""
        dtype = use.values["q"].dtype if use.autocast is None else use.autocast
        return dtype.itemsize

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        features = use.entry.features
        if not features["softcap"] and features["score"] is None:
            for name, backend in BACKENDS.items():
                yield Rival(name, plain.run, partial(_forced, plain, backend))
        # It has no dropout; what a spec's own function makes of the scores is not said again for it here.
        if features["score"] is None and not use.values.get("dropout"):
            yield Rival("FlexAttention", flex(use))


KIND = Attention()


@contextmanager
def _forced(plain: Rival, backend: SDPBackend) -> Iterator[None]:
    """The plain form, with one of the ways in which PyTorch computes it."""
    with plain.within(), sdpa_kernel(backend):
        yield


def sees(use: Use) -> Callable[[Tensor, Tensor, Tensor], Tensor | None]:
    """Whether in example `b` query `q` sees key `k`, for numbers that spread over each other; None: all see all."""
    features, values = use.entry.features, use.values
    shift = _shift(use)

    def seen(b: Tensor, q: Tensor, k: Tensor) -> Tensor | None:
        found: list[Tensor] = []
        distance = q + shift - k
        if features["causal"]:
            earlier = distance >= 0
            if features["prefix"] == "each":
                earlier = earlier | (k < values["prefix"][b])
            elif features["prefix"] == "number":
                earlier = earlier | (k < values["prefix"])
            found.append(earlier)
        if features["window"]:
            found.append(distance.abs() < values["window"])
        if features["documents"]:
            found.append(values["documents"][b, q] == values["documents"][b, k])
        if features["mask"] == "keys":
            found.append(values["mask"][b, k])
        elif features["mask"] == "pairs":
            found.append(values["mask"][b, q, k])
        if not found:
            return None
        both = found[0]
        for one in found[1:]:
            both = both & one
        return both

    return seen


def seen_pairs(use: Use) -> int:
    """Of all examples together, in one head."""
    q, k = use.values["q"], use.values["k"]
    (B, T), S = q.shape[:2], k.shape[1]
    device = q.device
    seen = sees(use)
    examples = torch.arange(B, device=device)[:, None, None]
    keys = torch.arange(S, device=device)
    total = 0
    for first in range(0, T, _QUERIES):
        queries = torch.arange(first, min(first + _QUERIES, T), device=device)[:, None]
        found = seen(examples, queries, keys)
        if found is None:
            return B * T * S
        total += int(found.expand(B, len(queries), S).sum())
    return total


def flex(use: Use) -> Callable[..., Any]:
    """The same by FlexAttention, compiled where there is a GPU."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    features, values = use.entry.features, use.values
    device = values["q"].device
    (B, T), S, shift = values["q"].shape[:2], values["k"].shape[1], _shift(use)
    seen = sees(use)
    nothing = torch.zeros((), dtype=torch.long, device=device)
    mask = None
    if seen(nothing, nothing, nothing) is not None:
        by_example = features["documents"] or features["mask"] != "none" or features["prefix"] == "each"
        mask = create_block_mask(
            lambda b, h, q, k: seen(b, q, k),  # pyright: ignore[reportArgumentType]  it is a tensor where some are hidden
            B if by_example else None,
            None,
            T,
            S,
            device=str(device),
        )
    slopes, cap, bias = values.get("slopes"), values.get("softcap"), values.get("bias")

    def score(s: Tensor, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        if cap is not None:
            s = cap * torch.tanh(s / cap)
        if bias is not None:
            s = s + (bias[h, q, k] if bias.ndim == 3 else bias[b, h, q, k])
        if slopes is not None:
            s = s - slopes[h] * (q + shift - k).abs()
        return s

    compiled = torch.compile(flex_attention, dynamic=False) if device.type == "cuda" else flex_attention
    changed = any(one is not None for one in (slopes, cap, bias))
    options: dict[str, Any] = {"score_mod": score if changed else None, "block_mask": mask}
    options |= {"scale": values.get("scale"), "enable_gqa": features["group"] > 1}

    def run(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return compiled(q, k, v, **options).transpose(1, 2)  # pyright: ignore[reportAttributeAccessIssue]  no lse was asked for

    return run


def _shift(use: Use) -> int:
    """Queries stand at the end of the keys where attention is causal."""
    features, values = use.entry.features, use.values
    return values["k"].shape[1] - values["q"].shape[1] if features["causal"] and not features["square"] else 0
