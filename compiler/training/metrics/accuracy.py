"""accuracy: how often the predicted class is the true one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Whole
from ...semantics.number import whole, written
from ..measure import MeanMetric, Misfit, Operand, Statements, Value, check_classes, width


class Accuracy(MeanMetric):
    """`accuracy(logits, data.label, top = 1)`: the part of the entries whose class is the one with the largest logit.

    With `top = 5` a class among the five largest counts; it is logged as `accuracy_top_5`. Targets that the loss
    ignores do not count.
    """

    word: ClassVar[str] = "accuracy"
    example: ClassVar[str] = "accuracy(logits, data.label, top = 5)"
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    masks: ClassVar[bool] = True

    top: Whole = 1

    @property
    def name(self) -> str:
        return "accuracy" if whole(self.top) == 1 else f"accuracy_top_{whole(self.top)}"

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        check_classes(self.word, said, true)
        classes = width(said)
        if classes is not None and whole(self.top) > whole(classes):
            message = f"`top` is {written(self.top)}, and `{said.shown}` tells {whole(classes)} classes apart"
            raise Misfit("wrong-value", message, said, f"{said.type} here", "`top` is at most the number of classes")

    def code(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> str:
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
