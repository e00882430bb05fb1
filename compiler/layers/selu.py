"""selu: the self-normalising ELU (Klambauer et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..semantics.tensor import Tensor
from .base import Code, Function

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


class Selu(Function):
    """`selu`: the self-normalising ELU (Klambauer et al. 2017)."""

    word: ClassVar[str] = "selu"
    example: ClassVar[str] = "selu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.selu({x})"

    def onnx(self, g: OnnxBuilder, x: OnnxValue, x_type: Tensor, name: str, module: str) -> tuple[OnnxValue, ...]:
        return (g.op("Selu", [x], x_type, name),)
