"""leaky_relu: a slope below zero."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function
from .options import Real


class LeakyRelu(Function):
    """`leaky_relu(slope)`: x above 0, `slope * x` below (Maas et al. 2013)."""

    word: ClassVar[str] = "leaky_relu"
    example: ClassVar[str] = "leaky_relu(0.2)"

    slope: Real = 0.01

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.leaky_relu({x}, {code.number(self.slope)})"
