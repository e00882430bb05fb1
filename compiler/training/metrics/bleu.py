"""bleu: how many runs of words a translation shares with the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Whole
from ..measure import Metric, Value, check_classes


class Bleu(Metric):
    """`bleu(logits, data.targets, n = 4)`: the geometric mean of the precision of runs of 1 to `n` words, less a
    penalty for what is too short, from 0 to 100 (Papineni et al. 2002).

    The text of the most likely tokens is held against that of the targets.
    """

    word: ClassVar[str] = "bleu"
    example: ClassVar[str] = "bleu(logits, data.targets)"
    runs: ClassVar[bool] = False
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.targets")
    masks: ClassVar[bool] = True

    n: Whole = 4

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
