"""cosine: how far two values point apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import Loss, Operand, Statements, Value, check_alike, check_vectors, target_like


class Cosine(Loss):
    """`cosine(output, data.y)`: the mean of `1 - cos(output, y)` over two values of one shape; the vectors lie along
    the last axis."""

    word: ClassVar[str] = "cosine"
    example: ClassVar[str] = "cosine(output, data.y)"
    entrywise: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    one_sided: ClassVar[bool] = False

    def check(self, values: Sequence[Value]) -> None:
        check_vectors(self.word, values[0])
        check_alike(self.word, *values)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        return f"(1 - F.cosine_similarity({said.text}, {target_like(said, true)}, dim=-1)).mean()"
