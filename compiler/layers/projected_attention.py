"""Attention whose queries, keys, values and result go through matrices: `q`, `k`, `v`, `o`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import Number, Operation, equal, product, written
from ..semantics.tensor import Tensor
from .attention import Attention, divided, shown
from .base import Parameter, ShapeFault
from .kept import Autocast, Device, Kept, Part

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class ProjectedAttention(Attention):
    """Keys and values are made of what `keys_from` says, by `k` and `v`."""

    autocast: ClassVar[Autocast] = "low"

    def check_options(self, x: Tensor) -> None:
        # What other tools write: the width first, then the heads. Heads that are one number wide are never meant.
        if self.kv_heads is not None and self.head_dim is None and equal(self.heads, x.dims[-1]):
            raise ShapeFault(
                f"{shown(self.heads)} heads on a width of {shown(x.dims[-1])} are 1 wide each",
                f"the width of what comes in is known: write `{self.word}({written(self.kv_heads)})`"
                " for that many heads, or give `head_dim`",
                "heads",
            )
        super().check_options(x)

    def width_of_head(self, x: Tensor) -> Number:
        return divided(x.dims[-1], self.heads) if self.head_dim is None else self.head_dim

    def query_width(self, x: Tensor) -> Number:
        """The width of all query heads together: as wide as the input unless `head_dim` says otherwise."""
        return x.dims[-1] if self.head_dim is None else product([self.heads, self.head_dim])

    def key_width(self, x: Tensor) -> Number:
        if equal(self.key_heads(), self.heads):
            return self.query_width(x)
        return Operation("*", (self.key_heads(), self.width_of_head(x)))

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        """The four matrices, the norms of queries and keys, then the weights of the score's function."""
        dim, memory, query, key = x.dims[-1], self.keys_from(x).dims[-1], self.query_width(x), self.key_width(x)
        shapes = {"q": (query, dim), "k": (key, memory), "v": (key, memory), "o": (dim, query)}
        found: dict[str, Parameter] = {}
        for name, dims in shapes.items():
            found[f"{name}.weight"] = Parameter(dims)
            if self.bias:
                found[f"{name}.bias"] = Parameter(dims[:1])
        if self.qk_norm is not None:
            gains = self.qk_norm.parameters(self.head_type(x))
            found |= {f"{part}_norm.{key}": gain for part in "qk" for key, gain in gains.items()}
        return found | super().parameters(x)

    def keeps(self, x: Tensor, device: Device) -> Kept:
        """What comes in, queries, keys and values as they meet, and what comes of it."""
        memory = self.keys_from(x)
        query, key = x.with_last(self.query_width(x)).dims, memory.with_last(self.key_width(x)).dims
        width = 4 if self.keeps_scores(device) else None
        heads = [*(Part(dims, width) for dims in (query, key, key)), Part(query, None)]
        if self.qk_norm is not None:
            # On a CPU PyTorch takes RMSNorm step by step, and keeps what is normed before the gain multiplies it.
            steps = 2 if device == "cpu" and self.qk_norm.word == "RMSNorm" else 1
            heads += [Part(query), Part(key)] * steps
        # With bf16 what comes in is cast for each matrix anew.
        casts = [Part(memory.dims, None, cast=True)] * 2
        gradients = (Part(query, width), Part(key, width), Part(key, width))
        work = (*gradients, *self.pair_work(x, device))
        return Kept(input=True, sides=self.kept_sides(), more=(*heads, *casts, *self.pair_parts(x, device)), work=work)

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        from .attention_onnx import attention  # a check needs no nodes

        memory = g.side(self.sequences[0]) if self.sequences else x
        memory_type = self.keys_from(x_type)

        def matrix(label: str, value: OnnxValue, value_type: Tensor, width: Number) -> OnnxValue:
            return g.linear(value, value_type, width, f"{name}.{label}", f"{module}.{label}", bias=self.bias)

        q = matrix("q", x, x_type, self.query_width(x_type))
        k = matrix("k", memory, memory_type, self.key_width(x_type))
        v = matrix("v", memory, memory_type, self.key_width(x_type))
        y = attention(self, g, (q, k, v), x_type, self.width_of_head(x_type), name, module)
        return (matrix("o", y, x_type.with_last(self.query_width(x_type)), x_type.dims[-1]),)
