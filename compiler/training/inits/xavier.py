"""xavier: weights as large as keeps the values of a layer in size, for activations that are linear around 0."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ...layers.options import Positive
from ..init import Init
from ..optimizer import single
from ..values import Word
from ..words import word_option


class Xavier(Init):
    """`xavier`: a standard deviation of `gain * sqrt(2 / (in + out))`, for activations that are linear around 0
    (Glorot and Bengio 2010).

    `in` and `out` are the numbers of values that an output is computed from and that an input is used for, as PyTorch
    counts them: of a table the width and the number of its vectors. `shape` is the distribution, `uniform` as in the
    paper or `normal`; `gain` multiplies it. Biases are 0.
    """

    word: ClassVar[str] = "xavier"
    example: ClassVar[str] = "xavier"

    shape: Annotated[Word, word_option("distribution", "normal uniform")] = "uniform"
    gain: Positive = 1

    @property
    def drawn(self) -> str:
        return "as in Glorot and Bengio (2010)"

    def lines(self, tensor: str) -> list[str]:
        options = ", ".join([tensor, *single("gain", self.gain, 1)])
        return [f"nn.init.xavier_{self.shape}_({options}, generator=generator)"]
