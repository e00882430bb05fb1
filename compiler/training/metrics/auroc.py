"""auroc: how often what is true is ranked above what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from ...semantics.tensor import Tensor
from ..measure import Operand, SetMetric, Statements, Value, asks_class, check_alike, check_classes, target_like

_AREA = '''\
def area_under_curve(scores: Tensor, true: Tensor) -> Tensor:
    """How often what is true is ranked above what is not, where equal half the time (Mann and Whitney 1947).

    scores, true [N]; NaN where all are true or none is.
    """
    _, places, counts = scores.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts.double() - 1) / 2)[places]
    count = true.sum().double()
    above = ranks[true].sum() - count * (count + 1) / 2
    return above / (count * (len(true) - count))
'''


class Auroc(SetMetric):
    """`auroc(output, data.y)`: the area under the curve of true against false positives, over the whole validation set.

    The output is a score of any scale, and `y`, 1 for what is true and 0 or -1 for the rest, has its shape: all entries
    are ranked together. With classes, `auroc(logits, data.label)`, it is the mean over the classes that occur, each
    against the rest by the softmax of the logits. Targets that the loss ignores do not count. A field of a file holds
    classes where the output is [B, classes] with more than one, unless the loss compares the two entry by entry.
    """

    word: ClassVar[str] = "auroc"
    example: ClassVar[str] = "auroc(output, data.y)"
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    masks: ClassVar[bool] = True
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = "flags"
    keeps: ClassVar[Mapping[str, Literal["sum", "join"]]] = {"scores": "join", "true": "join"}

    def asks_class(self, values: Sequence[Value]) -> bool:
        return asks_class(*values)

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        if isinstance(said.type, Tensor) and isinstance(true.type, Tensor) and true.type.rank < said.type.rank:
            check_classes(self.word, said, true)
        else:
            check_alike(self.word, said, true)

    def kept(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> Sequence[str]:
        if not asks_class(said.value, true.value):
            scores, asked = f"{said.text}.reshape(-1, 1)", f"{target_like(said, true)}.reshape(-1, 1) > 0"
            if counted is None:
                return scores, asked
            rows = f"[{counted}.flatten()]"
            return scores + rows, f"({asked}){rows}"
        rows = f"[{counted}]" if counted is not None else "" if said.rank == 2 else ".flatten(0, -2)"
        logits = f"{said.text}.movedim(1, -1)" if said.rank in (4, 5) else said.text
        label = true.text + rows.replace("(0, -2)", "()")
        scores = before.assign("scores", f"{logits}.softmax(-1){rows}")
        return scores, f"F.one_hot({label}, {scores}.shape[-1]) > 0"

    def value(self, kept: Sequence[str], before: Statements) -> str:
        scores, true = kept
        area = before.define("area_under_curve", _AREA.splitlines())
        areas = before.assign("areas", f"[{area}(*column) for column in zip({scores}.T, {true}.T)]")
        return f"torch.stack({areas}).nanmean().item()"
