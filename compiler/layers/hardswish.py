"""hardswish: x * clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Hardswish(Function):
    """`hardswish`: x * clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

    word: ClassVar[str] = "hardswish"
    example: ClassVar[str] = "hardswish"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.hardswish({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        # ONNX Runtime has no kernel for HardSwish.
        gate = g.op("HardSigmoid", [x], x_type, f"{name}.hardsigmoid", alpha=1 / 6, beta=0.5)
        return (g.op("Mul", [x, gate], x_type, name),)
