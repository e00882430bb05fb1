"""The PyTorch class of SelfAttention, written out for the options that were chosen and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Code
from .rotary_torch import ROTARY

if TYPE_CHECKING:
    from .self_attention import SelfAttention


def definition(layer: SelfAttention, code: Code) -> str:
    """The class as source text. Its arguments are the numbers that the options left open, in a fixed order."""
    drops, rotary = layer.drops(code), layer.rotary is not None
    rotary_class = code.library("Rotary", ROTARY) if rotary else ""
    bias = "" if layer.bias else ", bias=False"
    wide = layer.head_dim is not None

    arguments = ["dim: int", "heads: int"]
    if layer.grouped:
        arguments.append("kv_heads: int")
    if wide:
        arguments.append("head_dim: int")
    if rotary:
        arguments += ["length: int", "base: float"]
    if drops:
        arguments.append("dropout: float")

    query = "heads * head_dim" if wide else "dim"
    key = "kv_heads * head_dim" if layer.grouped else query
    head_dim = "head_dim" if wide else "dim // heads"
    init = ["super().__init__()", "self.heads = heads"]
    if layer.grouped:
        init.append("self.kv_heads = kv_heads")
    if drops:
        init.append("self.dropout = dropout")
    if layer.grouped and not wide:
        init.append("head_dim = dim // heads")
    init += [
        f"self.q = nn.Linear(dim, {query}{bias})",
        f"self.k = nn.Linear(dim, {key}{bias})",
        f"self.v = nn.Linear(dim, {key}{bias})",
        f"self.o = nn.Linear({query}, dim{bias})",
    ]
    if rotary:
        head_dim = "head_dim" if wide or layer.grouped else head_dim
        init.append(f"self.rotary = {rotary_class}(length, {head_dim}, base)")

    heads_of_keys = "self.kv_heads" if layer.grouped else "self.heads"
    shapes = "Each is [B, heads, T, head_dim]."
    if layer.grouped:
        shapes = "Queries are [B, heads, T, head_dim]; keys and values have kv_heads of them."
    forward = [
        f"# {shapes}",
        "q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)",
        f"k = self.k(x).unflatten(-1, ({heads_of_keys}, -1)).transpose(1, 2)",
        f"v = self.v(x).unflatten(-1, ({heads_of_keys}, -1)).transpose(1, 2)",
    ]
    if rotary:
        forward.append("q, k = self.rotary(q), self.rotary(k)")
    options = ["q", "k", "v"]
    if drops:
        forward.append("dropout = self.dropout if self.training else 0.0")
        options.append("dropout_p=dropout")
    if layer.causal:
        options.append("is_causal=True")
    if layer.grouped:
        options.append("enable_gqa=True")
    forward += [
        f"y = F.scaled_dot_product_attention({', '.join(options)})",
        "return self.o(y.transpose(1, 2).flatten(2))",
    ]

    title = f"{'Causal self-attention' if layer.causal else 'Self-attention'} (Vaswani et al. 2017)"
    lines = [
        "class SelfAttention(nn.Module):",
        f'    """{title}: [B, T, dim] -> [B, T, dim]"""',
        "",
        f"    def __init__(self, {', '.join(arguments)}) -> None:",
        *(f"        {line}" for line in init),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        *(f"        {line}" for line in forward),
    ]
    draw = code.init_linear()
    fill = [*(f"{draw}(self.{name}, generator)" for name in "qkvo"), *(["self.rotary.fill()"] if rotary else [])]
    lines += [
        "",
        "    def init_weights(self, generator: torch.Generator | None) -> None:",
        *(f"        {line}" for line in fill),
    ]
    return "\n".join(lines) + "\n"
