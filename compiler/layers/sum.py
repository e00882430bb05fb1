"""sum: the sum along axes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .reduction import Reduction

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Sum(Reduction):
    """`sum(over = T, keep = false)`: the sum along one axis or several; of truth values, how many are true.

    `over` names axes by their dims or positions. They are gone from the shape, and stay as 1 with `keep = true`.
    """

    word: ClassVar[str] = "sum"
    example: ClassVar[str] = "sum(over = T, keep = true)"
    example_input: ClassVar[str] = "[B, T, 16]"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        return super().infer(replace(x, dtype="int") if x.dtype == "bool" else x)

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        if x_type.dtype == "bool":
            x_type = replace(x_type, dtype="int")
            x = g.op("Cast", [x], x_type, f"{name}.counted", to=7)
        return self.reduced(g, "ReduceSum", x, x_type, name)
