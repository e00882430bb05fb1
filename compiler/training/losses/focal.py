"""focal: cross-entropy that counts what is known already for little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import NotNegative
from ...semantics.number import Number, real
from ..class_weights import class_weights, weights_of_labels
from ..measure import Loss, Operand, Statements, Value, check_classes, check_weights
from ..spelling import real_text
from ..values import NumbersOrNone, WholeNumberOrNone
from .cross_entropy import CrossEntropy, rows


class Focal(Loss):
    """`focal(logits, data.label, gamma = 2)`: the mean of `-(1 - p) ^ gamma * log p`, `p` the softmax of the true
    class (Lin et al. 2017).

    Shapes are those of `cross_entropy`. `weight` is a list with what each class counts: the mean is then divided by
    the weights of the targets, not by their number. Targets of -100 do not count, nor do those equal to `ignore`.
    """

    word: ClassVar[str] = "focal"
    example: ClassVar[str] = "focal(logits, data.label, gamma = 2)"
    spellings: ClassVar[dict[str, str]] = {"alpha": "weight"}
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    heads: ClassVar[dict[str, str]] = CrossEntropy.heads

    gamma: NotNegative = 2
    weight: NumbersOrNone = None
    ignore: WholeNumberOrNone = None

    @property
    def ignored(self) -> Number | None:
        return self.ignore

    @property
    def class_weights(self) -> tuple[Number, ...] | None:
        return self.weight

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
        check_weights(self.weight, values[0])

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        logits, label = rows(said, true)
        # Of targets that do not count it is 0.
        # A power below 1 has no derivative where p is 1 to the last bit.
        above_zero = ".clamp(min=1e-30)" if 0 < real(self.gamma) < 1 else ""
        call = f'F.cross_entropy({logits}, {label}, reduction="none"){above_zero}'
        each = before.assign("cross_entropy", call)
        # 1 - p is exact where p is close to 1.
        missing = f"(-torch.expm1(-{each}))"
        power = "" if real(self.gamma) == 1 else f" ** {real_text(self.gamma)}"
        focal = before.assign("focal", f"{missing}{power} * {each}")
        if self.weight is not None:
            weights = weights_of_labels(class_weights(self.weight, said, before), label, before)
            return f"({weights} * {focal}).sum() / {weights}.sum()"
        if not true.value.partial and self.ignore is None:
            return f"{focal}.mean()"
        return f"{focal}.sum() / ({label} != -100).sum()"
