"""flatten: all axes but the batch in one."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.numbers import product
from ..semantics.types import Tensor
from .base import Code, Layer, ShapeFault


class Flatten(Layer):
    """`flatten`: [B, a, b, ...] -> [B, a * b * ...]."""

    word: ClassVar[str] = "flatten"
    example: ClassVar[str] = "flatten"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.rank < 2:
            raise ShapeFault(f"flatten joins the axes after the batch, and {x} has none")
        return (Tensor(x.dtype, (x.dims[0], product(x.dims[1:]))),)

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"{x}.flatten(1)"
