"""mish: x * tanh(softplus(x)) (Misra 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Mish(Function):
    """`mish`: x * tanh(softplus(x)) (Misra 2020)."""

    word: ClassVar[str] = "mish"
    example: ClassVar[str] = "mish"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.mish({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        # ONNX Runtime has no kernel for Mish.
        gate = g.op("Tanh", [g.op("Softplus", [x], x_type, f"{name}.softplus")], x_type, f"{name}.tanh")
        return (g.op("Mul", [x, gate], x_type, name),)
