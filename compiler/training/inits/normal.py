"""normal: every weight from one normal distribution."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..init import Init
from ..spelling import real_text


class Normal(Init):
    """`normal(0.02)`: weights of matrices and embeddings are drawn from a normal distribution of the standard deviation
    `std`; biases are 0."""

    word: ClassVar[str] = "normal"
    example: ClassVar[str] = "normal(0.02)"
    of_matrices: ClassVar[bool] = False
    spellings: ClassVar[dict[str, str]] = {"stddev": "std", "sigma": "std"}

    std: Positive

    @property
    def drawn(self) -> str:
        return f"from N(0, {real_text(self.std)}^2)"

    def lines(self, tensor: str) -> list[str]:
        return [f"nn.init.normal_({tensor}, std={real_text(self.std)}, generator=generator)"]
