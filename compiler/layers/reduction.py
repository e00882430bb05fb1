"""What mean and sum share: axes that are taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import number
from ..semantics.tensor import Tensor
from .axes import find_axes
from .base import Code, Layer
from .kept import Device, Kept
from .options import Axes, Flag

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Reduction(Layer):
    """Takes the entries along axes together, by the method of a tensor that is called as the layer is."""

    over: Axes
    keep: Flag = False

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        axes = find_axes(self.word, self.over, x)
        if not self.keep:
            return (x.without(axes),)
        for axis in axes:
            x = x.with_dim(axis, number(1))
        return (x,)

    def keeps_places(self, x: Tensor) -> bool:
        return all(axis > 1 for axis in find_axes(self.word, self.over, x))

    def keeps(self, x: Tensor, device: Device) -> Kept:
        return Kept()

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        axes = find_axes(self.word, self.over, x_type)
        along = str(axes[0] if len(axes) == 1 else axes)
        return f"{x}.{self.word}({along}{', keepdim=True' if self.keep else ''})"

    def reduced(self, g: OnnxBuilder, kind: str, x: OnnxValue, x_type: Tensor, name: str) -> tuple[OnnxValue, ...]:
        """The one ONNX node of it."""
        axes = g.wholes(find_axes(self.word, self.over, x_type))
        (type_,) = self.infer(x_type)
        return (g.op(kind, [x, axes], type_, name, keepdims=int(self.keep)),)
