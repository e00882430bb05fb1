"""r2: the part of the variance that is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from ..measure import Operand, SetMetric, Statements, Value, check_alike, target_like


class R2(SetMetric):
    """`r2(output, data.y)`: 1 less the squared differences over those from the mean of `y`, of all entries of the whole
    validation set. 1 is perfect, 0 as good as the mean."""

    word: ClassVar[str] = "r2"
    example: ClassVar[str] = "r2(output, data.y)"
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    keeps: ClassVar[Mapping[str, Literal["sum", "join"]]] = {
        "count": "sum",
        "total": "sum",
        "squares": "sum",
        "errors": "sum",
    }

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values, of_classes="accuracy")

    def kept(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> Sequence[str]:
        y = before.assign("wanted", f"{target_like(said, true)}.double()")
        count = f"torch.tensor({y}.numel())"
        return count, f"{y}.sum()", f"{y}.square().sum()", f"({said.text} - {y}).square().sum()"

    def value(self, kept: Sequence[str], before: Statements) -> str:
        count, total, squares, errors = kept
        spread = before.assign("spread", f"{squares} - {total}.square() / {count}")
        return f"(1 - {errors} / {spread}).item()"
