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


def query_column(
    g: OnnxBuilder,
    q: tuple[OnnxValue, Tensor],
    k: tuple[OnnxValue, Tensor],
    name: str,
    *,
    end_together: bool,
) -> tuple[OnnxValue, Tensor]:
    """Where queries stand beside keys that count from 0: int[T, 1].

    `end_together`: the last query stands at the last key; else the first one stands at the first.
    """
    query, key = places(g, *q, f"{name}.query"), places(g, *k, f"{name}.key")
    row_type = Tensor("int", q[1].dims[1:2])
    type_ = Tensor("int", (*row_type.dims, number(1)))
    moved = end_together and query is not key

    def make() -> OnnxValue:
        row = query
        if moved:
            lengths = [g.length(*k, 1), g.length(*q, 1)]
            beyond = g.op("Sub", lengths, Tensor("int", (number(1),)), f"{name}.beyond")
            row = g.op("Add", [query, beyond], row_type, f"{name}.query.moved")
        return g.op("Unsqueeze", [row, g.whole(1)], type_, f"{name}.query.column")

    return g.once(("query column", query, key if moved else None), make), type_


def distances(
    g: OnnxBuilder,
    q: tuple[OnnxValue, Tensor],
    k: tuple[OnnxValue, Tensor],
    name: str,
    *,
    end_together: bool,
) -> tuple[OnnxValue, Tensor]:
    """How far each query stands behind each key: int[T, S]. `end_together` is as in `query_column`."""
    type_ = Tensor("int", (q[1].dims[1], k[1].dims[1]))
    column, _ = query_column(g, q, k, name, end_together=end_together)
    key = places(g, *k, f"{name}.key")
    distance = g.once(("distances", column, key), lambda: g.op("Sub", [column, key], type_, f"{name}.distance"))
    return distance, type_
