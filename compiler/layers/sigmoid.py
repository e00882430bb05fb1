"""sigmoid: 1 / (1 + exp(-x))."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Sigmoid(Function):
    """`sigmoid`: 1 / (1 + exp(-x))."""

    word: ClassVar[str] = "sigmoid"
    example: ClassVar[str] = "sigmoid"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.sigmoid()"
