"""he: weights as large as keeps the values of a layer in size, for relu."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ...layers.options import Positive
from ...semantics.number import real
from ..init import Init
from ..spelling import real_text
from ..values import Word
from ..words import word_option


class He(Init):
    """`he`: a standard deviation of `gain * sqrt(2 / in)`, for relu (He et al. 2015).

    `in` is the number of values that an output is computed from, as PyTorch counts it: of a table the width of its
    vectors. `shape` is the distribution, `normal` or `uniform`; `gain` multiplies it. Biases are 0.
    """

    word: ClassVar[str] = "he"
    example: ClassVar[str] = "he"

    shape: Annotated[Word, word_option("distribution", "normal uniform")] = "normal"
    gain: Positive = 1

    @property
    def drawn(self) -> str:
        return "as in He et al. (2015)"

    def lines(self, tensor: str) -> list[str]:
        draw = f'nn.init.kaiming_{self.shape}_({tensor}, nonlinearity="relu", generator=generator)'
        return [draw] if real(self.gain) == 1 else [draw, f"{tensor}.mul_({real_text(self.gain)})"]
