"""orthogonal: matrices whose rows are as long, and at right angles."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..init import Init


class Orthogonal(Init):
    """`orthogonal`: every matrix is a random orthogonal one times `gain` (Saxe et al. 2014); biases are 0."""

    word: ClassVar[str] = "orthogonal"
    example: ClassVar[str] = "orthogonal"
    runs: ClassVar[bool] = False

    gain: Positive = 1
