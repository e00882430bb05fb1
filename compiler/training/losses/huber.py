"""huber: squared differences where they are small, absolute ones where they are large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ...semantics.number import real
from ..measure import Loss, Operand, Statements, Value, averaged, check_alike, target_like
from ..spelling import real_text
from ..values import Reduce


class Huber(Loss):
    """`huber(output, data.y, delta = 1)`: the mean of `d ^ 2 / 2` where the difference `d` is at most `delta`, and of
    `delta * (abs(d) - delta / 2)` where it is more (Huber 1964).

    `reduce = sum` sums each example, and averages the batch.
    """

    word: ClassVar[str] = "huber"
    example: ClassVar[str] = "huber(output, data.y, delta = 0.5)"
    spellings: ClassVar[dict[str, str]] = {"beta": "delta", "reduction": "reduce"}
    entrywise: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    one_sided: ClassVar[bool] = False

    delta: Positive = 1
    reduce: Reduce = "mean"

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        delta = () if real(self.delta) == 1 else (f"delta={real_text(self.delta)}",)
        return averaged("F.huber_loss", (said.text, target_like(said, true), *delta), self.reduce, said)
