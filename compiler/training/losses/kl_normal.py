"""kl_normal: how far a normal distribution is from the standard one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import Loss, Operand, Statements, Value, check_alike, target_like


class KlNormal(Loss):
    """`kl_normal(mean, logvar)`: `(mean ^ 2 + exp(logvar) - 1 - logvar) / 2`, summed over an example and averaged over
    the batch (Kingma and Welling 2014)."""

    word: ClassVar[str] = "kl_normal"
    example: ClassVar[str] = "kl_normal(output, output)"
    takes: ClassVar[tuple[str, ...]] = ("mean", "logvar")
    one_sided: ClassVar[bool] = False

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        mean, logvar = operands
        spread = target_like(mean, logvar)
        kl = before.assign("kl", f"({mean.text}.square() + {spread}.exp() - 1 - {spread}) / 2")
        return f"{kl}.sum() / len({mean.text})"
