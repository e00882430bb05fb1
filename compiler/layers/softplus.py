"""softplus: log(1 + exp(x))."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Softplus(Function):
    """`softplus`: log(1 + exp(x))."""

    word: ClassVar[str] = "softplus"
    example: ClassVar[str] = "softplus"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.softplus({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Softplus", [x], x_type, name),)
