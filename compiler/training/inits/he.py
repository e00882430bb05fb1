"""he: weights as large as keeps the values of a layer in size, for relu."""

from __future__ import annotations

from typing import Annotated, ClassVar

from ...layers.options import Positive
from ..init import Init
from ..values import Word
from ..words import word_option


class He(Init):
    """`he`: a standard deviation of `gain * sqrt(2 / in)`, for relu (He et al. 2015).

    `in` and `out` are the numbers of values that an output is computed from and that an input is used for. `shape` is
    the distribution, `normal` or `uniform`; `gain` multiplies it. Biases are 0.
    """

    word: ClassVar[str] = "he"
    example: ClassVar[str] = "he"
    runs: ClassVar[bool] = False

    shape: Annotated[Word, word_option("distribution", "normal uniform")] = "normal"
    gain: Positive = 1
