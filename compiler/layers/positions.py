"""Positions: a learned vector for each place in a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.arithmetic import spell
from ..semantics.bounds import limit
from ..semantics.number import written
from ..semantics.tensor import Tensor
from .base import Code, Layer, Parameter, ShapeFault
from .kept import Gives
from .options import Whole

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Positions(Layer):
    """`Positions(count, dim)`: what comes in with a sequence on axis 1 -> [T, dim], the first rows of a learned table.

    T must be known to be at most `count` (`T <= count` in the model's input).
    """

    word: ClassVar[str] = "Positions"
    example: ClassVar[str] = "Positions(32, 16)"
    gives: ClassVar[Gives] = "weight"
    example_input: ClassVar[str] = "int[B, T <= 32]"

    count: Whole
    dim: Whole

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 2:
            raise ShapeFault(
                f"Positions counts along axis 1, and {x} has none", "give it a sequence: [B, T] or [B, T, D]"
            )
        length = x.dims[1]
        most = limit(length)
        if most is None:
            raise ShapeFault(
                f"the table has {written(self.count)} positions, and {written(length)} may be any length",
                f"write `{written(length)} <= {written(self.count)}` in the input of the model",
                "count",
            )
        if most > self.count.value:
            raise ShapeFault(
                f"the table has {written(self.count)} positions, and the sequence may be {spell(most)} long",
                f"make the table as long: `Positions({spell(most)}, {written(self.dim)})`",
                "count",
            )
        return (Tensor("float", (length, self.dim), (x.axes[1] if x.axes else None, None)),)

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"weight": Parameter((self.count, self.dim))}

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return f"nn.Embedding({code.number(self.count)}, {code.number(self.dim)})"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}.weight[: {x}.shape[1]]"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return code.init_weight(f"{module}.weight")

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        (type,) = self.infer(x_type)
        table = g.parameter(f"{module}.weight")
        return (g.op("Slice", [table, g.whole(0), g.length(x, x_type, 1), g.whole(0)], type, name),)
