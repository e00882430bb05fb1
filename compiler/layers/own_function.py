"""A function of the file where a layer takes an activation: `SqueezeExcite(8, act = squared_relu)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ..scalars import Constant, Expression, ScalarFunction, Variable, applied
from ..semantics.number import Number, written
from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class OwnFunction(Function):
    """`f(x, ...)` of each entry x; `arguments` are the parameters after the first, by name."""

    # Neither is an option; each object has its own.
    word: ClassVar[str] = ""
    expression: ClassVar[Expression]

    def __init__(self, function: ScalarFunction, arguments: Mapping[str, Number]) -> None:
        super().__init__()
        listed = ", ".join(f"{name} = {written(value)}" for name, value in arguments.items())
        numbers = {name: Constant(value) for name, value in arguments.items()}
        object.__setattr__(self, "word", f"{function.name}({listed})" if listed else function.name)
        object.__setattr__(self, "expression", applied(function, [Variable("x")], numbers))

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        from ..scalars.print_torch import print_torch

        return print_torch(self.expression, {"x"}, name=lambda _: x)

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        from ..scalars.onnx_nodes import onnx_nodes

        value, _ = onnx_nodes(g, self.expression, {"x": (x, x_type)}, name)
        return (value,)
