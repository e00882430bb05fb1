"""The plain PyTorch form of a fused attention, which runs where there is no GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...layers.score import ScoreFunction, own_name
from ...scalars import variables
from ...scalars.print_torch import print_torch
from .attention_features import AttentionFeatures

if TYPE_CHECKING:
    from .attention_given import Given


def plain_lines(features: AttentionFeatures, given: Sequence[Given]) -> list[str]:
    """`attention_plain`, which takes and gives what `attention` does."""
    parameters = ["q: Tensor", "k: Tensor", "v: Tensor", *(f"{one.name}: {one.kind}" for one in given)]
    written_out = features.softcap or features.score is not None
    body = _written_out(features) if written_out else _by_pytorch(features)
    return [
        f"def attention_plain({', '.join(parameters)}) -> Tensor:",
        '    """The same by PyTorch alone."""',
        "    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)",
        *(f"    {line}" for line in _positions(features)),
        *(f"    {line}" for line in _seen_lines(features)),
        *(f"    {line}" for line in body),
        "    return y.transpose(1, 2)",
    ]


def _plainly_causal(features: AttentionFeatures) -> bool:
    """PyTorch's own attention has a word for it."""
    hidden = features.window or features.prefix != "none" or features.documents or features.mask != "none"
    others = features.alibi or features.softcap or features.score is not None or features.bias != "none"
    return features.causal and features.square and not hidden and not others


def _seen(features: AttentionFeatures) -> list[str]:
    if _plainly_causal(features):
        return []
    found = []
    if features.causal:
        later = "distance >= 0"
        if features.prefix != "none":
            before = "prefix[:, None, None, None]" if features.prefix == "each" else "prefix"
            later = f"(distance >= 0) | (key < {before})"
        found.append(later)
    if features.window:
        found.append("distance.abs() < window")
    if features.documents:
        found.append("documents[:, None, :, None] == documents[:, None, None, :]")
    if features.mask != "none":
        found.append("mask[:, None]" if features.mask == "pairs" else "mask[:, None, None]")
    return found


def _seen_lines(features: AttentionFeatures) -> list[str]:
    return [f"seen = {part}" if i == 0 else f"seen = seen & ({part})" for i, part in enumerate(_seen(features))]


def _positions(features: AttentionFeatures) -> list[str]:
    distance = features.alibi or features.window or (features.causal and not _plainly_causal(features))
    read = frozenset[str]() if features.score is None else variables(features.score.expression) & {"q", "k"}
    shift = " + k.shape[2] - q.shape[2]" if features.causal and not features.square else ""
    # A function of the scores takes places as numbers that are not whole.
    kind = ", dtype=torch.float32" if read else ""
    lines = []
    if distance or "k" in read:
        lines.append(f"key = torch.arange(k.shape[2]{kind}, device=q.device)")
    if distance or "q" in read:
        lines.append(f"query = torch.arange(q.shape[2]{kind}, device=q.device)[:, None]{shift}")
    return [*lines, "distance = query - key  # [T, S]"] if distance else lines


def _by_pytorch(features: AttentionFeatures) -> list[str]:
    options, lines = ["q", "k", "v"], list[str]()
    seen = bool(_seen(features))
    bias = _bias(features)
    if bias:
        if seen:
            whole = bias if bias.isidentifier() else f"({bias})"
            bias = f'{whole}.masked_fill(~seen, float("-inf"))'
        if bias != "bias":
            lines.append(f"bias = {bias}")
        options.append("attn_mask=bias.to(q.dtype)")
    elif seen:
        options.append("attn_mask=seen")
    if features.dropout:
        options.append("dropout_p=dropout")
    if _plainly_causal(features):
        options.append("is_causal=True")
    if features.scaled:
        options.append("scale=scale")
    if features.group > 1:
        options.append("enable_gqa=True")
    return [*lines, f"y = F.scaled_dot_product_attention({', '.join(options)})"]


def _bias(features: AttentionFeatures) -> str:
    """What is added to the scores; empty where that is nothing."""
    alibi = "-slopes[:, None, None] * distance.abs()" if features.alibi else ""
    if features.bias == "none":
        return alibi
    return f"bias - {alibi[1:]}" if alibi else "bias"


def _written_out(features: AttentionFeatures) -> list[str]:
    lines = []
    if features.group > 1:
        lines.append("k, v = (one.repeat_interleave(q.shape[1] // one.shape[1], 1) for one in (k, v))")
    scale = "scale" if features.scaled else "q.shape[-1] ** -0.5"
    lines.append(f"scores = (q * {scale}) @ k.transpose(2, 3)  # [B, heads, T, S]")
    if features.softcap:
        lines.append("scores = softcap * torch.tanh(scores / softcap)")
    if features.score is not None:
        lines += _by_function(features.score)
    if features.bias != "none":
        lines.append("scores = scores + bias")
    if features.alibi:
        lines.append("scores = scores - slopes[:, None, None] * distance.abs()")
    weights = "scores.softmax(-1)"
    if _seen(features):
        lines.append('scores = scores.masked_fill(~seen, float("-inf"))')
        if features.mask != "none" or not features.square:
            # A softmax over nothing is NaN.
            weights += ".masked_fill(~seen, 0.0)"
    if features.dropout:
        weights = f"F.dropout({weights}, dropout)"
    added = features.alibi or features.score is not None or features.bias != "none"
    cast = ".to(v.dtype)" if added else ""
    return [*lines, f"y = {weights}{cast} @ v"]


def _by_function(score: ScoreFunction) -> list[str]:
    read = variables(score.expression)
    names = {"s": "scores", "q": "query", "k": "key", "h": "head"}
    by_head = {name: own_name(name) for name in score.by_head}
    lines = []
    if by_head:
        names_by_head = ", ".join(by_head.values())
        left = f"({names_by_head},)" if len(by_head) == 1 else names_by_head
        lines.append(f"{left} = weights[:, :, None, None]")
    if "h" in read:
        lines += ["head = torch.arange(q.shape[1], device=q.device)[:, None, None]"]
    value = print_torch(score.expression, {*names, *by_head}, name=lambda name: (names | by_head)[name])
    return [*lines, f"scores = {value}"]
