"""nt_xent: each view finds the other view of its example among all of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ..measure import Loss, Value, check_alike


class NtXent(Loss):
    """`nt_xent(a, b, temperature = 0.5)`: the cross-entropy of finding the other of two views among all others of the
    batch, by the cosine of their vectors over `temperature` (Chen et al. 2020).

    `a` and `b` are [B, D], a row of the one belongs to the same row of the other.
    """

    word: ClassVar[str] = "nt_xent"
    example: ClassVar[str] = "nt_xent(output, output, temperature = 0.1)"
    runs: ClassVar[bool] = False
    spellings: ClassVar[dict[str, str]] = {"tau": "temperature"}
    takes: ClassVar[tuple[str, ...]] = ("a", "b")
    one_sided: ClassVar[bool] = False

    temperature: Positive = 0.5

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values)
