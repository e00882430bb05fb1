"""orthogonal: matrices whose rows are as long, and at right angles."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..init import Init
from ..optimizer import single


class Orthogonal(Init):
    """`orthogonal`: every matrix is a random orthogonal one times `gain` (Saxe et al. 2014); biases are 0.

    Where it is not square, its rows or its columns are at right angles, the fewer of the two; a kernel counts as the
    matrix with a row for each channel that comes out, and the gates of a recurrent layer as one matrix.
    """

    word: ClassVar[str] = "orthogonal"
    example: ClassVar[str] = "orthogonal"

    gain: Positive = 1

    @property
    def drawn(self) -> str:
        return "as in Saxe et al. (2014)"

    def lines(self, tensor: str) -> list[str]:
        return [f"nn.init.orthogonal_({', '.join([tensor, *single('gain', self.gain, 1)])}, generator=generator)"]
