"""silu: x * sigmoid(x) (Elfwing et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Silu(Function):
    """`silu`: x * sigmoid(x) (Elfwing et al. 2018)."""

    word: ClassVar[str] = "silu"
    example: ClassVar[str] = "silu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.silu({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        # ONNX Runtime has no kernel for Swish.
        gate = g.op("Sigmoid", [x], x_type, f"{name}.sigmoid")
        return (g.op("Mul", [x, gate], x_type, name),)
