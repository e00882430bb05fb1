"""cosine: how far two values point apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import Loss, Value, check_alike


class Cosine(Loss):
    """`cosine(output, data.y)`: the mean of `1 - cos(output, y)` over two values of one shape; the vectors lie along
    the last axis."""

    word: ClassVar[str] = "cosine"
    example: ClassVar[str] = "cosine(output, data.y)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    one_sided: ClassVar[bool] = False

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)
