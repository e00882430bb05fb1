"""What takes the place of a Linear in a graph: its weights stay the Linear's, whatever is done with them."""

from __future__ import annotations

from typing import Annotated, Any

from ...layers.base import Code, Layer, Parameter
from ...layers.linear import Linear
from ...options import Kind
from ...semantics.tensor import Tensor
from .added_norm import as_is


class AroundLinear(Layer):
    """Of [..., features], as the Linear. It stands in no spec."""

    linear: Annotated[Any, Kind(as_is)]

    @property
    def of(self) -> Linear:
        return self.linear

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.of.infer(x)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return self.of.parameters(x)

    @property
    def is_module(self) -> bool:
        return True

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return self.of.initialise(module, x, code)
