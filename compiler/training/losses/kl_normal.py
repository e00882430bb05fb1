"""kl_normal: how far a normal distribution is from the standard one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..measure import Loss, Value, check_alike


class KlNormal(Loss):
    """`kl_normal(mean, logvar)`: `(mean ^ 2 + exp(logvar) - 1 - logvar) / 2`, summed over an example and averaged over
    the batch (Kingma and Welling 2014)."""

    word: ClassVar[str] = "kl_normal"
    example: ClassVar[str] = "kl_normal(output, output)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("mean", "logvar")
    one_sided: ClassVar[bool] = False

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)
