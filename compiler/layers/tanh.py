"""tanh: the hyperbolic tangent."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Tanh(Function):
    """`tanh`: the hyperbolic tangent."""

    word: ClassVar[str] = "tanh"
    example: ClassVar[str] = "tanh"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.tanh()"
