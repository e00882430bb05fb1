"""mean: the mean along axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import ShapeFault
from .reduction import Reduction

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Mean(Reduction):
    """`mean(over = [H, W], keep = false)`: the mean along one axis or several.

    `over` names axes by their dims or positions. They are gone from the shape, and stay as 1 with `keep = true`.
    """

    word: ClassVar[str] = "mean"
    example: ClassVar[str] = "mean(over = [H, W])"
    example_input: ClassVar[str] = "[B, 8, H, W]"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.dtype != "float":
            raise ShapeFault(f"mean takes float, and {x} comes in", "an Embedding makes vectors of whole numbers")
        return super().infer(x)

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return self.reduced(g, "ReduceMean", x, x_type, name)
