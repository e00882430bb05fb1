"""gelu: the Gaussian error linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function
from .options import one_of

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Gelu(Function):
    """`gelu`: x * Phi(x) (Hendrycks and Gimpel 2016); `approximate = tanh` takes GPT-2's approximation of Phi."""

    word: ClassVar[str] = "gelu"
    example: ClassVar[str] = "gelu(approximate = tanh)"

    approximate: Annotated[str | None, one_of(None, "tanh")] = None

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f'F.gelu({x}, approximate="tanh")' if self.approximate else f"F.gelu({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Gelu", [x], x_type, name, approximate=self.approximate or "none"),)
