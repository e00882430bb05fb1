"""A Linear and the activation behind it, as one step."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from ...layers.base import Code
from ...layers.kept import Autocast
from ...options import Kind
from ...semantics.tensor import Tensor
from .added_norm import as_is
from .around_linear import AroundLinear


class ActivatedLinear(AroundLinear):
    """An activation of [..., features]. It stands in no spec: `fuse_activations` puts it into a graph."""

    word: ClassVar[str] = "ActivatedLinear"
    autocast: ClassVar[Autocast] = "low"

    name: Annotated[str, Kind(as_is)]
    """Of the activation."""
    activation: Annotated[Any, Kind(as_is)]
    """An expression over `x`."""

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Linear({self.of.arguments(x, code)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{code.fused(self, x_type)}({x}, {module})"
