"""What a gated activation asks of its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...scalars.expression import Expression
from .specialise import Specialised, specialise
from .variant import Variant

KERNELS = ("gated.gated_forward", "gated.gated_backward")


@dataclass(frozen=True)
class GatedFeatures(Variant):
    """What is fixed when the kernels are written."""

    kind: ClassVar[str] = "gated"

    name: str
    """Of the activation."""
    activation: Expression
    """Over `x`."""

    @property
    def entry(self) -> str:
        return f"{self.name}_gated"

    @property
    def shared(self) -> tuple[str, ...]:
        return ()

    def kernels(self, number: int) -> Specialised:
        from .gated_text import activation_functions

        return specialise(KERNELS, {"JOINED": False}, activation_functions(self), number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .gated_text import calling_lines

        return calling_lines(self, number)
