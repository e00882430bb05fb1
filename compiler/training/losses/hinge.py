"""hinge: what is on the wrong side of a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ...layers.options import Positive
from ...semantics.number import real
from ...semantics.tensor import Tensor
from ..measure import (
    Loss,
    Misfit,
    Operand,
    Statements,
    Value,
    asks_class,
    check_alike,
    check_classes,
    check_rows,
    target_like,
)
from ..spelling import real_text


class Hinge(Loss):
    """`hinge(output, data.y, margin = 1)`: the mean of `max(0, margin - y * output)`, where `y` is 1 or -1 and has the
    shape of the output.

    With classes, `hinge(logits, data.label)`, [B, classes] against int[B]: the sum over the other classes of
    `max(0, margin - logits[label] + logits[other])`, divided by the number of classes (Weston and Watkins 1999).
    Labels of -100 do not count. A number as target, 1 or -1, stands for all entries. A field of a file holds classes
    where the output is [B, classes] with more than one.
    """

    word: ClassVar[str] = "hinge"
    example: ClassVar[str] = "hinge(output, data.y)"
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = "signs"
    heads: ClassVar[dict[str, str]] = dict.fromkeys(["softmax", "sigmoid"], "takes scores, on both sides of 0")

    margin: Positive = 1

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        if true.number is not None and abs(real(true.number)) != 1:
            raise Misfit("wrong-value", "`hinge` takes 1 or -1 as target", true, "neither")
        if isinstance(said.type, Tensor) and isinstance(true.type, Tensor) and true.type.rank < said.type.rank:
            check_rows(self.word, said)
            check_classes(self.word, said, true)
        else:
            check_alike(self.word, said, true)

    def asks_class(self, values: Sequence[Value]) -> bool:
        return asks_class(*values)

    def compares_entries(self, values: Sequence[Value]) -> bool:
        return not asks_class(*values)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        margin = real_text(self.margin)
        if not asks_class(said.value, true.value):
            return f"F.relu({margin} - {_signed(said, true)}).mean()"
        given = "" if real(self.margin) == 1 else f", margin={margin}"
        if not true.value.partial:
            return f"F.multi_margin_loss({said.text}, {true.text}{given})"
        counted = before.assign("counted", f"{true.text} != -100")
        label = f"{true.text}.clamp(min=0)"
        each = before.assign("hinge", f'F.multi_margin_loss({said.text}, {label}{given}, reduction="none")')
        return f"({each} * {counted}).sum() / {counted}.sum()"


def _signed(said: Operand, true: Operand) -> str:
    """The output times what is true, 1 or -1."""
    if true.value.number is None:
        return f"{target_like(said, true)} * {said.text}"
    return said.text if real(true.value.number) > 0 else f"-{said.text}"
