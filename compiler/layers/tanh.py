"""tanh: the hyperbolic tangent."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function
from .kept import Device, Kept

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Tanh(Function):
    """`tanh`: the hyperbolic tangent."""

    word: ClassVar[str] = "tanh"
    example: ClassVar[str] = "tanh"

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(output=True)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.tanh()"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Tanh", [x], x_type, name),)
