"""PReLU: a learned slope below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.number import number
from ..semantics.tensor import Tensor
from .base import Code, Function, Parameter

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class PReLU(Function):
    """`PReLU` (He et al. 2015): x above 0, `weight * x` below, one learned slope that starts at 0.25."""

    word: ClassVar[str] = "PReLU"
    example: ClassVar[str] = "PReLU"

    def parameters(self, x: Tensor) -> dict[str, Parameter]:
        return {"weight": Parameter((number(1),))}

    @property
    def is_module(self) -> bool:
        return True

    def constructor(self, x: Tensor, code: Code) -> str:
        return "nn.PReLU()"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{module}({x})"

    def initialise(self, module: str, x: Tensor, code: Code) -> list[str]:
        return [f"{module}.reset_parameters()"]

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("PRelu", [x, g.parameter(f"{module}.weight")], x_type, name),)
