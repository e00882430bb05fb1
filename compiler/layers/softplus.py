"""softplus: log(1 + exp(x))."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Softplus(Function):
    """`softplus`: log(1 + exp(x))."""

    word: ClassVar[str] = "softplus"
    example: ClassVar[str] = "softplus"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.softplus({x})"
