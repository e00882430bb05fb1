"""What a cross-entropy asks of its kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...scalars.differentiate import differentiate
from ...scalars.expression import Expression
from ...scalars.print_triton import print_triton
from ...scalars.simplify import simplify
from ..pytorch.layout import fit
from .common import LABELS, WARPS
from .specialise import Specialised, specialise
from .variant import Variant

ROOTS = ("cross_entropy.cross_entropy_forward", "cross_entropy.cross_entropy_backward")
IN_PLACE = "cross_entropy.cross_entropy_in_place"


@dataclass(frozen=True)
class CrossEntropyFeatures(Variant):
    """What is fixed when the kernels are written; the numbers themselves are arguments."""

    kind: ClassVar[str] = "cross_entropy"

    smoothing: bool
    ignore: bool
    """Whether a label besides -100 does not count."""
    z_loss: bool = False
    weights: bool = False
    """Whether classes count unequally."""
    function: Expression | None = None
    """Of what comes in, `x`, that makes logits of it: a soft cap for one. None where logits come in."""
    summed: bool = False
    """Whether the losses of an example are summed, and the batch averaged; else it is the mean of all that count."""
    chunked: bool = False
    """Whether logits are made chunk by chunk as well, for their loss and their gradient alone."""

    @property
    def entry(self) -> str:
        return "cross_entropy"

    def covers(self, other: Variant) -> bool:
        return isinstance(other, CrossEntropyFeatures) and self in (other, replace(other, chunked=True))

    @property
    def shared(self) -> tuple[str, ...]:
        return (WARPS, LABELS)

    def kernels(self, number: int) -> Specialised:
        functions = {} if self.function is None else logit_functions(self.function)
        roots = (*ROOTS, IN_PLACE) if self.chunked else ROOTS
        return specialise(roots, self.constants(), functions, number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        from .cross_entropy_text import calling_lines

        return calling_lines(self, kernels, number)

    def constants(self) -> dict[str, bool | int]:
        """Of the templates."""
        return {
            "SMOOTHING": self.smoothing,
            "IGNORE": self.ignore,
            "WEIGHTS": self.weights,
            "Z_LOSS": self.z_loss,
            "FUNCTION": self.function is not None,
            "STAGES": 1,
        }


def logit_functions(function: Expression) -> dict[str, str]:
    """What stands in for the template's example, by name."""
    value, slope = simplify(function), simplify(differentiate(function, "x"))
    return {
        "logit": _function("logit", "The logit of what a head gives.", value),
        "logit_by_x": _function("logit_by_x", "Its derivative.", slope),
    }


def _function(name: str, doc: str, value: Expression) -> str:
    lines = [f"def {name}(x):", f'    """{doc}"""', f"    return {print_triton(value)}"]
    return "\n".join(["@triton.jit", *(part for line in lines for part in fit(line))]) + "\n"
