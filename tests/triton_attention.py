"""An attention as its templates compute it and as plain matrices do, for the tests of both."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from triton_templates import template


@dataclass(frozen=True)
class Options:
    """What an attention may be asked for; lengths and widths come from its tensors."""

    causal: bool = False
    window: int | None = None
    prefix: int | Tensor | None = None
    documents: Tensor | None = None
    mask: Tensor | None = None
    softcap: float | None = None
    weights: Tensor | None = None
    """[1, heads] of the score's own function, which is the templates' example."""
    learned: bool = True
    """Whether these have a gradient."""
    bias: Tensor | None = None
    slopes: Tensor | None = None
    scale: float | None = None
    drop: float = 0.0
    seed: Tensor | None = None

    def to(self, dtype: torch.dtype) -> Options:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        floats = {
            name: value for name, value in values.items() if isinstance(value, Tensor) and value.is_floating_point()
        }
        return replace(self, **{name: value.to(dtype) for name, value in floats.items()})

    def shown(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        asked = {name: value for name, value in values.items() if value is not None and value is not False}
        return {name: tuple(value.shape) if isinstance(value, Tensor) else value for name, value in asked.items()}


@dataclass(frozen=True)
class Tiles:
    m: int
    n: int
    described: bool = False
    """By tensor descriptors, as where there is a copy engine (Hopper); heads must be a power of two wide."""


def reference(q: Tensor, k: Tensor, v: Tensor, options: Options, keep: Tensor | None = None) -> Tensor:
    """The same in matrices, in the dtype of its inputs. `keep` [B, heads, T, S] is what dropout keeps."""
    (T, heads), (S, kv_heads) = q.shape[1:3], k.shape[1:3]
    k, v = (x.repeat_interleave(heads // kv_heads, 2) for x in (k, v))
    scores = torch.einsum("bthd,bshd->bhts", q, k) * (options.scale or q.shape[3] ** -0.5)
    if options.softcap is not None:
        scores = options.softcap * torch.tanh(scores / options.softcap)
    query = torch.arange(T, device=q.device)[:, None] + (S - T if options.causal else 0)
    key = torch.arange(S, device=q.device)
    if options.weights is not None:
        scores = scores - options.weights[0][:, None, None] * (query - key).abs()
    if options.bias is not None:
        scores = scores + options.bias
    if options.slopes is not None:
        scores = scores - options.slopes[:, None, None] * (query - key).abs()
    return _weighted(scores, seen(q, k, options), v, options, keep)


def _weighted(scores: Tensor, seen: Tensor, v: Tensor, options: Options, keep: Tensor | None) -> Tensor:
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1).masked_fill(~seen, 0.0)
    if keep is not None:
        weights = weights * keep / (1.0 - options.drop)
    return torch.einsum("bhts,bshd->bthd", weights, v)


def seen(q: Tensor, k: Tensor, options: Options) -> Tensor:
    """Which key which query may see: [B, 1, T, S]."""
    (B, T), S = q.shape[:2], k.shape[1]
    query = torch.arange(T, device=q.device)[:, None] + (S - T if options.causal else 0)
    key = torch.arange(S, device=q.device)
    found = torch.ones(B, 1, T, S, dtype=torch.bool, device=q.device)
    if options.causal:
        earlier = (key <= query)[None, None]
        if isinstance(options.prefix, Tensor):
            earlier = earlier | (key < options.prefix[:, None, None, None])
        elif options.prefix is not None:
            earlier = earlier | (key < options.prefix)
        found = found & earlier
    if options.window is not None:
        found = found & ((query - key).abs() < options.window)
    if options.documents is not None:
        found = found & (options.documents[:, None, :, None] == options.documents[:, None, None, :])
    if options.mask is not None:
        found = found & (options.mask[:, None] if options.mask.ndim == 3 else options.mask[:, None, None])
    return found


def features(T: int, S: int, options: Options) -> dict[str, bool]:
    """The templates' features."""
    return {
        "SHIFTED": options.causal and T != S,
        "CAUSAL": options.causal,
        "WINDOW": options.window is not None,
        "ONE_SIDED": options.causal and options.prefix is None,
        "PREFIX": options.prefix is not None,
        "PREFIX_EACH": isinstance(options.prefix, Tensor),
        "DOCUMENTS": options.documents is not None,
        "KEY_MASK": options.mask is not None and options.mask.ndim == 2,
        "PAIR_MASK": options.mask is not None and options.mask.ndim == 3,
        "SOFTCAP": options.softcap is not None,
        "SCORE": options.weights is not None,
        "BIAS": options.bias is not None,
        "BIAS_EACH": options.bias is not None and options.bias.ndim == 4,
        "ALIBI": options.slopes is not None,
        "DROPOUT": options.drop > 0,
    }


def _learned(options: Options) -> bool:
    return options.weights is not None and options.learned


def forward(q: Tensor, k: Tensor, v: Tensor, options: Options, tiles: Tiles) -> tuple[Tensor, Tensor]:
    """What the template makes of it: out and lse, poisoned before."""
    B, T, heads, width = q.shape
    S = k.shape[1]
    out = torch.full((B, T, heads, v.shape[3]), float("nan"), dtype=q.dtype, device=q.device)
    lse = torch.full((B, heads, T), float("nan"), device=q.device)
    template("attention_forward").attention_forward[(-(-T // tiles.m) * B * heads,)](
        *(_source(x, rows, tiles) for x, rows in ((q, tiles.m), (k, tiles.n), (v, tiles.n))),
        *(out, lse, q.stride(1), k.stride(1), v.stride(1), T, S, heads),
        *_arguments(width, options, options.documents, tiles.m),
        **_constants(q, k, v, options, tiles),
    )
    return out, lse


def backward(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, d_out: Tensor, options: Options, tiles: Tiles
) -> list[Tensor]:
    """The gradients of q, k, v, and of the score's weights and of what is added to it where there are any."""
    B, T, heads, width = q.shape
    S, kv_heads = k.shape[1:3]
    d_q, d_k, d_v, delta = (torch.full(x.shape, float("nan"), dtype=x.dtype, device=x.device) for x in (q, k, v, lse))
    backward = template("attention_backward")
    blocks = -(-T // tiles.m)
    backward.attention_delta[(blocks * B * heads,)](
        out, d_out, delta, T, heads, tiles.m, v.shape[3], _padded(v.shape[3])
    )
    inputs = [_source(x, rows, tiles) for x, rows in ((q, tiles.m), (k, tiles.n), (v, tiles.n), (d_out, tiles.m))]
    rows = [x.stride(1) for x in (q, k, v, d_out)]
    backward.attention_backward_keys[(-(-S // tiles.n) * B * kv_heads,)](
        *(*inputs, lse, delta, d_k, d_v, *rows, d_k.stride(1), T, S, heads),
        *_arguments(width, options, options.documents, tiles.n),
        **_constants(q, k, v, options, tiles),
    )
    shares = torch.full((B, heads, blocks, 1), float("nan"), device=q.device)
    backward.attention_backward_queries[(blocks * B * heads,)](
        *(*inputs, lse, delta, d_q, shares, *rows, d_q.stride(1), T, S, heads),
        *_arguments(width, options, options.documents, tiles.m),
        **_constants(q, k, v, options, tiles),
        LEARNED=_learned(options),
        LANES=1,
    )
    found = [d_q, d_k, d_v, *([shares.sum((0, 2)).T] if _learned(options) else [])]
    if options.bias is None:
        return found
    d_bias = torch.full_like(options.bias, float("nan"))
    grid = (-(-S // tiles.n) * blocks * (heads if options.bias.ndim == 3 else B * heads),)
    constants = _constants(q, k, v, options, tiles)
    del constants["RAGGED"]
    arguments = _arguments(width, options, options.documents, tiles.m)
    del arguments[9]  # spans of documents: a tile's places are given
    template("attention_bias").attention_backward_bias[grid](
        *(*inputs, lse, delta, d_bias, *rows, B, T, S, heads), *arguments, **constants
    )
    return [*found, d_bias]


def _padded(width: int) -> int:
    return max(16, 1 << (width - 1).bit_length())


def _source(x: Tensor, rows: int, tiles: Tiles) -> Any:
    if not tiles.described:
        return x
    from triton.tools.tensor_descriptor import TensorDescriptor

    B, T, heads, width = x.shape
    return TensorDescriptor(x, [B * T, heads * width], [x.stride(1), 1], [rows, width])


def _arguments(width: int, options: Options, documents: Tensor | None, block: int) -> list[Any]:
    return [
        options.scale or width**-0.5,
        options.softcap or 0.0,
        options.slopes,
        options.bias,
        options.weights,
        options.window or 0,
        options.prefix if isinstance(options.prefix, int) else 0,
        options.prefix if isinstance(options.prefix, Tensor) else None,
        documents,
        None if documents is None else spans(documents, block),
        options.mask,
        options.seed,
        options.drop,
    ]


def _constants(q: Tensor, k: Tensor, v: Tensor, options: Options, tiles: Tiles) -> dict[str, Any]:
    T, S, width = q.shape[1], k.shape[1], q.shape[3]
    return {
        "BLOCK_M": tiles.m,
        "BLOCK_N": tiles.n,
        "STAGES": 2,
        "DESCRIBED": tiles.described,
        "RAGGED": T % tiles.m != 0 or S % tiles.n != 0,
        "WIDTH": width,
        "PADDED": _padded(width),
        "VALUE_WIDTH": v.shape[3],
        "VALUE_PADDED": _padded(v.shape[3]),
        "GROUP": q.shape[2] // k.shape[2],
        **features(T, S, options),
    }


def spans(documents: Tensor, block: int) -> Tensor:
    """The first and the last key of the documents in each block: [B, blocks, 2]."""
    found = []
    for part in documents.split(block, 1):
        like = (part[:, :, None] == documents[:, None, :]).any(1).int()
        found.append(torch.stack((like.argmax(1), documents.shape[1] - like.flip(1).argmax(1)), -1))
    return torch.stack(found, 1).int()
