"""relu: max(x, 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function
from .kept import Device, Kept

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Relu(Function):
    """`relu`: max(x, 0)."""

    word: ClassVar[str] = "relu"
    example: ClassVar[str] = "relu"

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(output=True)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.relu({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Relu", [x], x_type, name),)
