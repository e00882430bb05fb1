"""What the rotary embedding of an attention asks of its kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...layers.attention import Attention
from ...semantics.number import whole
from ...semantics.tensor import Tensor
from .common import GENERATION, TILES
from .specialise import Specialised, specialise
from .variant import Variant

TILE = 1024
"""How many pairs a program turns."""


@dataclass(frozen=True)
class RotaryFeatures(Variant):
    """What is fixed when the kernel is written."""

    kind: ClassVar[str] = "rotary"

    width: int
    """Of a head."""

    @property
    def entry(self) -> str:
        return "rotary"

    @property
    def shared(self) -> tuple[str, ...]:
        return (GENERATION, TILES)

    @property
    def padded(self) -> int:
        """The power of two that half a head fits in."""
        return 1 << (self.width // 2 - 1).bit_length()

    @property
    def block(self) -> int:
        """How many heads a program turns."""
        return max(1, TILE // self.padded)

    def kernels(self, number: int) -> Specialised:
        constants = {"HALF": self.width // 2, "PADDED": self.padded}
        return specialise(("rotary.turn_both",), constants, {}, number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .rotary_text import calling_lines

        return calling_lines(self, kernels, number)


def rotary_features(layer: Attention, x: Tensor) -> RotaryFeatures:
    return RotaryFeatures(whole(layer.width_of_head(x)))
