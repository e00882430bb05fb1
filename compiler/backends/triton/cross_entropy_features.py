"""What a cross-entropy asks of its kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .specialise import Specialised, specialise
from .variant import Variant

ROOTS = ("cross_entropy.cross_entropy_forward", "cross_entropy.cross_entropy_backward")


@dataclass(frozen=True)
class CrossEntropyFeatures(Variant):
    """What is fixed when the kernels are written; the numbers themselves are arguments."""

    kind: ClassVar[str] = "cross_entropy"

    smoothing: bool
    ignore: bool
    """Whether a label besides -100 does not count."""

    @property
    def entry(self) -> str:
        return "cross_entropy"

    @property
    def shared(self) -> tuple[str, ...]:
        return ()

    def kernels(self, number: int) -> Specialised:
        return specialise(ROOTS, self.constants(), {}, number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .cross_entropy_text import calling_lines

        return calling_lines(self, kernels, number)

    def constants(self) -> dict[str, bool | int]:
        """Of the templates."""
        return {
            "SMOOTHING": self.smoothing,
            "IGNORE": self.ignore,
            "WEIGHTS": False,
            "Z_LOSS": False,
            "STAGES": 1,
        }
