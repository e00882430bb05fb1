"""mse: the mean of squared differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import Loss, Operand, Statements, Value, averaged, check_alike, target_like
from ..values import Reduce


class MSE(Loss):
    """`mse(output, data.y)`: the mean of `(output - y) ^ 2` over all entries of two values of one shape.

    `reduce = sum` sums each example, and averages the batch.
    """

    word: ClassVar[str] = "mse"
    example: ClassVar[str] = "mse(output, data.y)"
    entrywise: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    one_sided: ClassVar[bool] = False

    reduce: Reduce = "mean"

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values, of_classes="cross_entropy")

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        return averaged("F.mse_loss", (said.text, target_like(said, true)), self.reduce, said)
