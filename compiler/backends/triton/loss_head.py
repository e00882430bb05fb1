"""The last Linear of a model, which is handed the targets in training and then gives the loss."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from ...layers.base import Code
from ...layers.side import Side
from ...options import Kind
from ...semantics.tensor import Tensor
from .added_norm import as_is
from .around_linear import AroundLinear


class LossHead(AroundLinear):
    """Logits of [..., features], or with targets their loss. It stands in no spec: `fuse_loss` puts it into a graph."""

    word: ClassVar[str] = "LossHead"

    features: Annotated[Any, Kind(as_is)]
    """What the loss asks of its kernels."""
    numbers: Annotated[Any, Kind(as_is)]
    """What the loss computes with, as Python: `{"smoothing": "0.1"}`."""
    targets: Annotated[Any, Kind(as_is)]

    def sides(self) -> tuple[Side, ...]:
        return (self.targets,)

    def constructor(self, x: Tensor, code: Code) -> str:
        numbers = "".join(f", {name}={value}" for name, value in self.numbers.items())
        return f"{code.fused(self, x)}({self.of.arguments(x, code)}{numbers})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x}, {self.targets})"
