"""What `first` and `last` share: one entry along axis 1, and the axis goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Layer, ShapeFault
from .kept import Gives

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class End(Layer):
    """The entry at `place` along axis 1."""

    place: ClassVar[int]
    gives: ClassVar[Gives] = "view"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 2:
            raise ShapeFault(f"{self.word} picks along axis 1, and {x} has none", "give it a sequence: [B, T, D]")
        return (x.without([1]),)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}[:, {self.place}]"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type_,) = self.infer(x_type)
        return (g.op("Gather", [x, g.scalar(self.place)], type_, name, axis=1),)
