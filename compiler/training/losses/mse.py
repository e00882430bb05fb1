"""mse: the mean of squared differences."""

from __future__ import annotations

from typing import ClassVar

from ..measure import Call, Loss, Operand, Value, check_alike, target_like


class MSE(Loss):
    """`mse(output, data.y)`: the mean of `(output - y) ^ 2` over all entries of two values of one shape."""

    word: ClassVar[str] = "mse"
    example: ClassVar[str] = "mse(output, data.y)"
    later: ClassVar[frozenset[str]] = frozenset({"reduce"})
    idle: ClassVar[dict[str, object]] = {"reduce": "mean"}
    takes: ClassVar[tuple[str, str]] = ("output", "data.y")
    one_sided: ClassVar[bool] = False

    def check(self, said: Value, true: Value) -> None:
        check_alike(self.word, said, true)

    def code(self, said: Operand, true: Operand) -> Call:
        return Call("F.mse_loss", (said.text, target_like(said, true)))
