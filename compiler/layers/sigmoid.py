"""sigmoid: 1 / (1 + exp(-x))."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function
from .kept import Device, Kept

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Sigmoid(Function):
    """`sigmoid`: 1 / (1 + exp(-x))."""

    word: ClassVar[str] = "sigmoid"
    example: ClassVar[str] = "sigmoid"

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(output=True)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.sigmoid()"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Sigmoid", [x], x_type, name),)
