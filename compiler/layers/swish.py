"""swish: silu with a slope."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import real
from ..semantics.tensor import Tensor
from .base import Code, Function
from .kept import Device, Kept, Part
from .options import Real

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Swish(Function):
    """`swish(beta)`: x * sigmoid(beta * x) (Ramachandran et al. 2017)."""

    word: ClassVar[str] = "swish"
    example: ClassVar[str] = "swish(1.5)"

    beta: Real = 1

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(input=True, more=(Part(x.dims, None),))  # its sigmoid

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        if self.beta.value == 1:
            return f"F.silu({x})"
        return f"{x} * torch.sigmoid({code.number(self.beta)} * {x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        slope = x
        if self.beta.value != 1:
            slope = g.op("Mul", [g.number(real(self.beta)), x], x_type, f"{name}.slope")
        gate = g.op("Sigmoid", [slope], x_type, f"{name}.sigmoid")
        return (g.op("Mul", [x, gate], x_type, name),)
