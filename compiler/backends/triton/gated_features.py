"""What a gated activation asks of its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...scalars.expression import Expression
from ...semantics.number import whole
from ...semantics.tensor import Tensor
from .gated import Gated
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
    width: int | None = None
    """Of a half, where gate and up are the halves of rows of one tensor."""
    gate_first: bool = True
    """Which half is which."""

    @property
    def entry(self) -> str:
        return f"{self.name}_gated"

    @property
    def shared(self) -> tuple[str, ...]:
        return ()

    def kernels(self, number: int) -> Specialised:
        from .gated_text import activation_functions

        joined = {"JOINED": False} if self.width is None else {"JOINED": True, "WIDTH": self.width}
        return specialise(KERNELS, joined, activation_functions(self.name, self.activation), number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .gated_text import calling_lines

        return calling_lines(self, number)


def gated_features(layer: Gated, x: Tensor) -> GatedFeatures:
    width = None if layer.up is not None else whole(layer.infer(x)[0].dims[-1])
    return GatedFeatures(layer.name, layer.expression, width, layer.gate_first)
