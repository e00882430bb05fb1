"""xavier: weights as large as keeps the values of a layer in size, for activations that are linear around 0."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ...layers.options import Positive
from ..init import Init
from ..values import Word
from ..words import word_option


class Xavier(Init):
    """`xavier`: a standard deviation of `gain * sqrt(2 / (in + out))`, for activations that are linear around 0
    (Glorot and Bengio 2010).

    `in` and `out` are the numbers of values that an output is computed from and that an input is used for. `shape` is
    the distribution, `normal` or `uniform`; `gain` multiplies it. Biases are 0.
    """

    word: ClassVar[str] = "xavier"
    example: ClassVar[str] = "xavier"
    runs: ClassVar[bool] = False

    shape: Annotated[Word, word_option("distribution", "normal uniform")] = "normal"
    gain: Positive = 1
