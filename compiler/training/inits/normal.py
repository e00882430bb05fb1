"""normal: every weight from one normal distribution."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..init import Init


class Normal(Init):
    """`normal(0.02)`: weights of matrices and embeddings are drawn from a normal distribution of the standard deviation
    `std`; biases are 0."""

    word: ClassVar[str] = "normal"
    example: ClassVar[str] = "normal(0.02)"
    spellings: ClassVar[dict[str, str]] = {"stddev": "std", "sigma": "std"}

    std: Positive
