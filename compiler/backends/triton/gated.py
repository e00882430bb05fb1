"""An activation and the product that it goes into, as one function."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from ...layers.base import Code, Layer
from ...layers.side import Side
from ...options import Kind
from ...scalars.expression import Expression
from ...semantics.tensor import Tensor
from .added_norm import as_is


class Gated(Layer):
    """`activation(gate) * up`, entry by entry. It stands in no spec: `fuse_gates` puts it into a graph."""

    word: ClassVar[str] = "Gated"
    sides_nest: ClassVar[bool] = True

    name: Annotated[str, Kind(as_is)]
    """Of the activation."""
    activation: Annotated[Any, Kind(as_is)]
    """An expression over `x`."""
    up: Annotated[Any, Kind(as_is)]

    @property
    def expression(self) -> Expression:
        return self.activation

    def sides(self) -> tuple[Side, ...]:
        return (self.up,)

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{code.fused(self, x_type)}({x}, {self.up})"
