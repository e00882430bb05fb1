"""selu: the self-normalising ELU (Klambauer et al. 2017)."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.types import Tensor
from .base import Code, Function


class Selu(Function):
    """`selu`: the self-normalising ELU (Klambauer et al. 2017)."""

    word: ClassVar[str] = "selu"
    example: ClassVar[str] = "selu"

    def call(self, module: str, x: str, x_type: Tensor, code: Code) -> str:
        return f"F.selu({x})"
