"""leaky_relu: a slope below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import real
from ..semantics.tensor import Tensor
from .base import Code, Function
from .options import Real

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class LeakyRelu(Function):
    """`leaky_relu(slope)`: x above 0, `slope * x` below (Maas et al. 2013)."""

    word: ClassVar[str] = "leaky_relu"
    example: ClassVar[str] = "leaky_relu(0.2)"

    slope: Real = 0.01

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.leaky_relu({x}, {code.real(self.slope)})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("LeakyRelu", [x], x_type, name, alpha=real(self.slope)),)
