"""mish: x * tanh(softplus(x)) (Misra 2020)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Mish(Function):
    """`mish`: x * tanh(softplus(x)) (Misra 2020)."""

    word: ClassVar[str] = "mish"
    example: ClassVar[str] = "mish"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.mish({x})"
