"""contrastive: what belongs together lies close, what does not lies a margin apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ..measure import Loss, Operand, Statements, Value, check_alike, check_label, check_vectors, target_like
from ..spelling import real_text


class Contrastive(Loss):
    """`contrastive(a, b, data.same, margin = 1)`: the mean of `d ^ 2` where `same` is 1 and of `max(0, margin - d) ^ 2`
    where it is 0, `d` the distance of `a` and `b` along their last axis (Hadsell et al. 2006)."""

    word: ClassVar[str] = "contrastive"
    example: ClassVar[str] = "contrastive(output, output, data.same)"
    takes: ClassVar[tuple[str, ...]] = ("a", "b", "data.same")
    one_sided: ClassVar[bool] = False

    margin: Positive = 1

    def check(self, values: Sequence[Value]) -> None:
        a, b, same = values
        check_vectors(self.word, a)
        check_alike(self.word, a, b)
        check_label(self.word, a, same)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        a, b, same = operands
        distance = before.assign("distance", f"torch.linalg.vector_norm({a.text} - {b.text}, dim=-1)")
        if same.value.number is not None and same.value.number.value == 1:
            return f"{distance}.square().mean()"
        missing = before.assign("missing", f"F.relu({real_text(self.margin)} - {distance})")
        if same.value.number is not None and same.value.number.value == 0:
            return f"{missing}.square().mean()"
        alike = before.assign("alike", target_like(Operand(a.value, distance), same))
        return f"({alike} * {distance}.square() + (1 - {alike}) * {missing}.square()).mean()"
