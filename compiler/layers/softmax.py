"""softmax: exp(x), divided by its sum along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .axes import find_axis
from .base import Code, Function
from .kept import Device, Kept
from .options import Axis

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Softmax(Function):
    """`softmax(axis)`: exp(x), divided by its sum along an axis (the last where none is given)."""

    word: ClassVar[str] = "softmax"
    example: ClassVar[str] = "softmax(axis = 1)"

    axis: Axis = -1

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        find_axis("softmax", self.axis, x)
        return super().infer(x)

    def keeps_places(self, x: Tensor) -> bool:
        return find_axis("softmax", self.axis, x) > 1

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept(output=True)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        axis = self.axis if isinstance(self.axis, int) else find_axis("softmax", self.axis, x_type)
        return f"{x}.softmax({axis})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Softmax", [x], x_type, name, axis=find_axis("softmax", self.axis, x_type)),)
