"""hardsigmoid: clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Hardsigmoid(Function):
    """`hardsigmoid`: clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

    word: ClassVar[str] = "hardsigmoid"
    example: ClassVar[str] = "hardsigmoid"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.hardsigmoid({x})"
