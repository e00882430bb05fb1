"""hardswish: x * clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Hardswish(Function):
    """`hardswish`: x * clip(x + 3, 0, 6) / 6 (Howard et al. 2019)."""

    word: ClassVar[str] = "hardswish"
    example: ClassVar[str] = "hardswish"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.hardswish({x})"
