"""hardsigmoid: clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Hardsigmoid(Function):
    """`hardsigmoid`: clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

    word: ClassVar[str] = "hardsigmoid"
    example: ClassVar[str] = "hardsigmoid"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.hardsigmoid({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("HardSigmoid", [x], x_type, name, alpha=1 / 6, beta=0.5),)
