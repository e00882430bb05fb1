"""What Sinusoid and fourier share: half as many frequencies as entries, from 1 down to 1 / 10000."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..semantics.number import Number, divides, number
from ..semantics.tensor import Tensor
from .attention import shown
from .base import ShapeFault

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue


def check_even(word: str, dim: Number) -> None:
    """Raises ShapeFault where sines and cosines do not come in pairs."""
    if not divides(number(2), dim):
        raise ShapeFault(
            f"{word} gives a sine and a cosine for each frequency, and {shown(dim)} is odd", "make it even", "dim"
        )


def angles(g: OnnxBuilder, column: OnnxValue, half: int, type_: Tensor, name: str) -> OnnxValue:
    """A column of numbers, [N, 1], times 10000^(-i / half): [N, half]."""
    frequencies = g.floats([10_000.0 ** (-i / half) for i in range(half)])
    return g.op("Mul", [column, frequencies], type_, f"{name}.angle")
