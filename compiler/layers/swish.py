"""swish: silu with a slope."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function
from .options import Real


class Swish(Function):
    """`swish(beta)`: x * sigmoid(beta * x) (Ramachandran et al. 2017)."""

    word: ClassVar[str] = "swish"
    example: ClassVar[str] = "swish(1.5)"

    beta: Real = 1

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        if self.beta.value == 1:
            return f"F.silu({x})"
        return f"{x} * torch.sigmoid({code.number(self.beta)} * {x})"
