"""attend: attention without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ..options import Field
from ..semantics.number import Number, equal, product
from ..semantics.tensor import Tensor
from .attention import Attention, check_batch, check_sequence, divided, shown
from .base import Code, ShapeFault
from .kept import Device, Kept
from .options import SideInput, Whole
from .side import Side

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_OF_MATRICES = frozenset({"head_dim", "qk_norm", "bias"})


class Attend(Attention):
    """`attend(keys = k, values = v, heads = 1)`: [B, T, D] with keys [B, S, K] and values [B, S, V] -> [B, T, E].

    Attention without weights: what flows are the queries. A head is D / heads wide, so K is kv_heads times as much;
    a head of values may have any width, and E is heads times it. The other options, and where positions stand, are
    those of `CrossAttention`, less those of its matrices.
    """

    word: ClassVar[str] = "attend"
    title: ClassVar[str] = "attention without weights"
    example: ClassVar[str] = "attend(keys = k, values = v, heads = 2)"
    example_sides: ClassVar[dict[str, str]] = {"k": "[B, S, 16]", "v": "[B, S, 24]"}
    options: ClassVar[Mapping[str, Field]] = {
        name: field for name, field in Attention.options.items() if name not in _OF_MATRICES
    }

    heads: Whole = 1
    keys: SideInput
    values: SideInput

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_sequence(self.word, x)
        for option, side in (("keys", self.keys), ("values", self.values)):
            check_sequence(self.word, side.type, f"are the {option}", option)
            check_batch(self.word, x, side.type, option)
        if not equal(self.keys.type.dims[1], self.values.type.dims[1]):
            raise ShapeFault(
                f"attend takes a value for each key, and keys are {self.keys.type}, values {self.values.type}",
                "both must be of one length",
                "values",
            )
        width = divided(self.keys.type.dims[-1], self.key_heads(), "keys")
        if not equal(width, self.width_of_head(x)):
            raise ShapeFault(
                f"a head of the queries is {shown(self.width_of_head(x))} wide, and one of the keys {shown(width)}",
                "queries and keys of a head are compared entry by entry: make them as wide",
                "keys",
            )
        self.check_options(x)
        return (x.with_last(self._result_width(x)),)

    def width_of_value(self, x: Tensor) -> Number:
        return divided(self.values.type.dims[-1], self.key_heads(), "values")

    def _result_width(self, x: Tensor) -> Number:
        width = self.width_of_value(x)
        return product([self.heads, width]) if self.grouped else self.values.type.dims[-1]

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return replace(super().keeps(x, device), output=True)

    def width_of_head(self, x: Tensor) -> Number:
        return divided(x.dims[-1], self.heads)

    @property
    def sequences(self) -> tuple[Side, ...]:
        return (self.keys, self.values)

    def keys_from(self, x: Tensor) -> Tensor:
        return self.keys.type

    def flops(self, x: Tensor) -> Number | None:
        return self.pairs_flops(x, x.dims[-1], self._result_width(x))

    def widths(self, x: Tensor, code: Code) -> list[str]:
        head_dim = [f"head_dim={code.number(self.width_of_head(x))}"] if self.rotary is not None else []
        return [code.number(self.heads), *head_dim]

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return super().initialise(module, x, code) if self.rotary is not None or self.score_weights() else []

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        from .attention_onnx import attention  # a check needs no nodes

        values = (x, g.side(self.keys), g.side(self.values))
        return (attention(self, g, values, x_type, self.width_of_value(x_type), name, module),)
