"""info_nce: a query finds its key among those of other examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive, WholeOrZero
from ..measure import Loss, Value, check_alike


class InfoNce(Loss):
    """`info_nce(query, key, queue = 65_536, temperature = 0.07)`: the cross-entropy of finding the key of one's own
    example among others (van den Oord et al. 2018; He et al. 2020 for the queue).

    `query` and `key` are [B, D]. The others are the keys of the `queue` examples before; with `queue = 0` those of the
    batch.
    """

    word: ClassVar[str] = "info_nce"
    example: ClassVar[str] = "info_nce(output, output, queue = 4_096)"
    runs: ClassVar[bool] = False
    spellings: ClassVar[dict[str, str]] = {"tau": "temperature"}
    takes: ClassVar[tuple[str, ...]] = ("query", "key")
    one_sided: ClassVar[bool] = False

    queue: WholeOrZero = 0
    temperature: Positive = 0.07

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)
