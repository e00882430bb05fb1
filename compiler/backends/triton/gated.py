"""An activation and the product that it goes into, as one function."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from ...layers.base import Code, Layer
from ...layers.options import Flag
from ...layers.side import Side
from ...options import Kind
from ...scalars.expression import Expression
from ...semantics.number import number, operation
from ...semantics.tensor import Tensor
from .added_norm import as_is


class Gated(Layer):
    """`activation(gate) * up`, entry by entry. It stands in no spec: `fuse_gates` puts it into a graph.

    Gate and up are two values, or the halves of the last axis of one.
    """

    word: ClassVar[str] = "Gated"
    sides_nest: ClassVar[bool] = True

    name: Annotated[str, Kind(as_is)]
    """Of the activation."""
    activation: Annotated[Any, Kind(as_is)]
    """An expression over `x`."""
    up: Annotated[Any, Kind(as_is)] = None
    """A side input; None where it is a half."""
    gate_first: Flag = True
    """Which half is which."""

    @property
    def expression(self) -> Expression:
        return self.activation

    def sides(self) -> tuple[Side, ...]:
        return () if self.up is None else (self.up,)

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x if self.up is not None else x.with_dim(x.rank - 1, operation("/", x.dims[-1], number(2))),)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        given = [x] if self.up is None else [x, str(self.up)]
        return f"{code.fused(self, x_type)}({', '.join(given)})"
