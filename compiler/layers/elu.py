"""elu: x above 0, exp(x) - 1 below (Clevert et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Elu(Function):
    """`elu`: x above 0, exp(x) - 1 below (Clevert et al. 2016)."""

    word: ClassVar[str] = "elu"
    example: ClassVar[str] = "elu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.elu({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Elu", [x], x_type, name),)
