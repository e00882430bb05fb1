"""silu: x * sigmoid(x) (Elfwing et al. 2018)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Silu(Function):
    """`silu`: x * sigmoid(x) (Elfwing et al. 2018)."""

    word: ClassVar[str] = "silu"
    example: ClassVar[str] = "silu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.silu({x})"
