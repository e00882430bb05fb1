"""triplet: an anchor is nearer to its like than to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ..measure import Loss, Operand, Statements, Value, check_alike, check_vectors, target_like
from ..spelling import real_text


class Triplet(Loss):
    """`triplet(anchor, positive, negative, margin = 1)`: the mean of `max(0, d(a, p) - d(a, n) + margin)`, `d` the
    distance of two vectors along the last axis (Schroff et al. 2015)."""

    word: ClassVar[str] = "triplet"
    example: ClassVar[str] = "triplet(output, output, output, margin = 0.2)"
    takes: ClassVar[tuple[str, ...]] = ("anchor", "positive", "negative")
    one_sided: ClassVar[bool] = False

    margin: Positive = 1

    def check(self, values: Sequence[Value]) -> None:
        anchor, positive, negative = values
        check_vectors(self.word, anchor)
        check_alike(self.word, anchor, positive)
        check_alike(self.word, anchor, negative)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        anchor, *others = operands
        near, far = (
            before.assign(name, f"torch.linalg.vector_norm({anchor.text} - {target_like(anchor, other)}, dim=-1)")
            for name, other in zip(("near", "far"), others, strict=True)
        )
        return f"F.relu({near} - {far} + {real_text(self.margin)}).mean()"
