"""flatten: all axes but the batch in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import product
from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Gives

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Flatten(Layer):
    """`flatten`: [B, a, b, ...] -> [B, a * b * ...]."""

    word: ClassVar[str] = "flatten"
    example: ClassVar[str] = "flatten"
    gives: ClassVar[Gives] = "view"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 2:
            raise ShapeFault(f"flatten joins the axes after the batch, and {x} has none")
        if x.rank == 2:
            return (x,)
        return (Tensor(x.dtype, (x.dims[0], product(x.dims[1:])), (x.axes[0], None) if x.axes else ()),)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.flatten(1)"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type,) = self.infer(x_type)
        return (g.op("Flatten", [x], type, name, axis=1),)
