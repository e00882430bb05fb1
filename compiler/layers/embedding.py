"""Embedding: a table of vectors, looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .options import Whole

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Embedding(Layer):
    """`Embedding(count, dim)`: int[...] -> [..., dim], row `i` of the table for each number `i` below `count`."""

    word: ClassVar[str] = "Embedding"
    example: ClassVar[str] = "Embedding(100, 16)"
    example_input: ClassVar[str] = "int[B, T]"

    count: Whole
    dim: Whole

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.dtype != "int":
            raise ShapeFault(f"Embedding looks up whole numbers, and {x} comes in", "Linear maps vectors")
        return (Tensor("float", (*x.dims, self.dim)),)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"weight": Parameter((self.count, self.dim))}

    def keeps_places(self, x: Tensor) -> bool:
        return True

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Embedding({code.number(self.count)}, {code.number(self.dim)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return code.init_weight(f"{module}.weight")

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type,) = self.infer(x_type)
        return (g.op("Gather", [g.parameter(f"{module}.weight"), x], type, name),)
