"""elu: x above 0, exp(x) - 1 below (Clevert et al. 2016)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Elu(Function):
    """`elu`: x above 0, exp(x) - 1 below (Clevert et al. 2016)."""

    word: ClassVar[str] = "elu"
    example: ClassVar[str] = "elu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.elu({x})"
