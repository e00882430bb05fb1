"""A Linear and the activation behind it, as one step."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from ...layers.base import Code, Layer, Parameter
from ...layers.kept import Autocast
from ...layers.linear import Linear
from ...options import Kind
from ...semantics.tensor import Tensor
from .added_norm import as_is


class ActivatedLinear(Layer):
    """An activation of [..., features]. It stands in no spec: `fuse_activations` puts it into a graph."""

    word: ClassVar[str] = "ActivatedLinear"
    autocast: ClassVar[Autocast] = "low"

    linear: Annotated[Any, Kind(as_is)]
    name: Annotated[str, Kind(as_is)]
    """Of the activation."""
    activation: Annotated[Any, Kind(as_is)]
    """An expression over `x`."""

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

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Linear({self.of.arguments(x, code)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{code.fused(self, x_type)}({x}, {module})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return self.of.initialise(module, x, code)
