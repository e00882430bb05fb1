"""accuracy: how often the predicted class is the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ...layers.options import RealOrNone, Whole
from ...semantics.number import whole, written
from ..measure import MeanMetric, Misfit, Operand, Statements, Value, check_classes, width
from .one_score import check_one_score, split_scores, told_above


class Accuracy(MeanMetric):
    """`accuracy(logits, data.label, top = 1)`: the part of the entries whose class is the one with the largest logit.

    With `top = 5` a class among the five largest counts; it is logged as `accuracy_top_5`. With one score for each
    entry, `accuracy(score, data.y, above = 0)`, what is above is said to be true; `y`, 1 for what is true and 0 or -1
    for the rest, has the shape of the scores. That is 0 for a logit and 0.5 for a probability. Two of one score are
    logged as `accuracy_above_0` and `accuracy_above_0.5`. Targets that the loss ignores do not count.
    """

    word: ClassVar[str] = "accuracy"
    example: ClassVar[str] = "accuracy(logits, data.label, top = 5)"
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    masks: ClassVar[bool] = True
    of_hits: ClassVar[bool] = True
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = "flags"

    top: Whole = 1
    above: RealOrNone = None

    def asks_class(self, values: Sequence[Value]) -> bool:
        return self.above is None

    @property
    def name(self) -> str:
        return "accuracy" if whole(self.top) == 1 else f"accuracy_top_{whole(self.top)}"

    @property
    def apart(self) -> str:
        return told_above(self.above)

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        if self.above is not None and whole(self.top) > 1:
            message = "`top` is of several classes, and `above` of one score"
            raise Misfit("wrong-value", message, said, f"{said.type} here", "leave one of them out")
        if check_one_score(self.word, said, true, self.above):
            return
        check_classes(self.word, said, true)
        classes = width(said)
        if classes is not None and whole(self.top) > whole(classes):
            message = f"`top` is {written(self.top)}, and `{said.shown}` tells {whole(classes)} classes apart"
            raise Misfit("wrong-value", message, said, f"{said.type} here", "`top` is at most the number of classes")

    def code(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> str:
        if self.above is not None:
            predicted, asked, mask = split_scores(said, true, counted, self.above)
            if mask is None:
                return f"(({predicted}) == ({asked})).float().mean()"
            hits = before.assign("hits", f"(({predicted}) == ({asked})) & {mask}")
            return f"{hits}.sum() / {counted}.sum()"
        axis, top = "1" if said.rank in (4, 5) else "-1", whole(self.top)
        hits = f"{said.text}.argmax({axis}) == {true.text}"
        if top > 1:
            best = before.assign(f"top_{top}", f"{said.text}.topk({top}, dim={axis}).indices")
            hits = f"({best} == {true.text}.unsqueeze({axis})).any({axis})"
        name = "hits" if top == 1 else f"hits_{top}"
        if counted is not None:
            hits = before.assign(name, f"{hits} & {counted}" if top > 1 else f"({hits}) & {counted}")
            return f"{hits}.sum() / {counted}.sum()"
        if top > 1:
            return f"{before.assign(name, hits)}.float().mean()"
        return f"({hits}).float().mean()"
