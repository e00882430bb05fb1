"""relu: max(x, 0)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Relu(Function):
    """`relu`: max(x, 0)."""

    word: ClassVar[str] = "relu"
    example: ClassVar[str] = "relu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.relu({x})"
