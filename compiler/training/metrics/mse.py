"""mse: the mean of squared differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import Call, MeanMetric, Operand, Statements, Value, check_alike, target_like


class MSE(MeanMetric):
    """`mse(output, data.y)`: the mean of `(output - y) ^ 2` over all entries of two values of one shape."""

    word: ClassVar[str] = "mse"
    example: ClassVar[str] = "mse(output, data.y)"
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    one_sided: ClassVar[bool] = False

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values, of_classes="accuracy")

    def code(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> str:
        return str(Call("F.mse_loss", (said.text, target_like(said, true))))
