"""nt_xent: each view finds the other view of its example among all of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ..measure import Loss, Operand, Statements, Value, check_alike, check_rows
from ..spelling import real_text


class NtXent(Loss):
    """`nt_xent(a, b, temperature = 0.5)`: the cross-entropy of finding the other of two views among all others of the
    batch, by the cosine of their vectors over `temperature` (Chen et al. 2020).

    `a` and `b` are [B, D], a row of the one belongs to the same row of the other. The mean over the 2 * B views; what
    they are held against is the batch, which `accumulate` may not take apart.
    """

    word: ClassVar[str] = "nt_xent"
    example: ClassVar[str] = "nt_xent(output, output, temperature = 0.1)"
    spellings: ClassVar[dict[str, str]] = {"tau": "temperature"}
    takes: ClassVar[tuple[str, ...]] = ("a", "b")
    one_sided: ClassVar[bool] = False
    over_pairs: ClassVar[bool] = True

    temperature: Positive = 0.5

    def check(self, values: Sequence[Value]) -> None:
        check_rows(self.word, *values)
        check_alike(self.word, *values)

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        a, b = operands
        views = before.assign("views", f"F.normalize(torch.cat([{a.text}, {b.text}]), dim=-1)")
        cosines = f"({views} @ {views}.T / {real_text(self.temperature)})"
        likeness = before.assign("likeness", f"{cosines}.fill_diagonal_(-torch.inf)")
        other = before.assign("other", f"torch.arange(len({views}), device={views}.device).roll(len({a.text}))")
        return f"F.cross_entropy({likeness}, {other})"
