"""Where the entries of sequences stand, as ONNX nodes: written once for all layers that ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import number
from ..semantics.tensor import Tensor

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


def places(g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str) -> OnnxValue:
    """0, 1, 2, ... along axis 1 of x: int[T]."""
    length = g.length(x, x_type, 1)

    def make() -> OnnxValue:
        end = g.op("Squeeze", [length], Tensor("int", ()), f"{name}.end")
        ends = [g.scalar(0), end, g.scalar(1)]
        return g.op("Range", ends, Tensor("int", x_type.dims[1:2]), name)

    return g.once(("places", length), make)


def distances(
    g: OnnxBuilder,
    q: tuple[OnnxValue, Tensor],
    k: tuple[OnnxValue, Tensor],
    name: str,
    *,
    end_together: bool,
) -> tuple[OnnxValue, Tensor]:
    """How far each query stands behind each key: int[T, S].

    `end_together`: the last query stands at the last key; else the first ones stand together.
    """
    type_ = Tensor("int", (q[1].dims[1], k[1].dims[1]))
    query, key = places(g, *q, f"{name}.query"), places(g, *k, f"{name}.key")
    end_together = end_together and query is not key

    def make() -> OnnxValue:
        row = query
        if end_together:
            lengths = [g.length(*k, 1), g.length(*q, 1)]
            beyond = g.op("Sub", lengths, Tensor("int", (number(1),)), f"{name}.beyond")
            row = g.op("Add", [query, beyond], Tensor("int", type_.dims[:1]), f"{name}.query.moved")
        column_type = Tensor("int", (type_.dims[0], number(1)))
        column = g.op("Unsqueeze", [row, g.whole(1)], column_type, f"{name}.query.column")
        return g.op("Sub", [column, key], type_, f"{name}.distance")

    return g.once(("distances", query, key, end_together), make), type_
