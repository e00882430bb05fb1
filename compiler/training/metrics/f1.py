"""f1: the harmonic mean of precision and recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from ..measure import Operand, SetMetric, Statements, Value, check_classes
from ..values import Word
from ..words import word_option


class F1(SetMetric):
    """`f1(logits, data.label, average = macro)`: the harmonic mean of precision and recall of each class, over the
    whole validation set: `2 * hits / (said + true)`.

    Shapes are those of `accuracy`. `average` is `macro` (every class counts alike, but for those that neither occur nor
    are said), `weighted` (as often as it occurs), `micro` (every entry counts alike). Targets that the loss ignores do
    not count.
    """

    word: ClassVar[str] = "f1"
    example: ClassVar[str] = "f1(logits, data.label)"
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    masks: ClassVar[bool] = True
    keeps: ClassVar[Mapping[str, Literal["sum", "join"]]] = {"hits": "sum", "said": "sum", "true": "sum"}

    average: Annotated[Word, word_option("way to average", "macro weighted micro")] = "macro"

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)

    def kept(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> Sequence[str]:
        axis = 1 if said.rank in (4, 5) else -1
        rows = f"[{counted}]" if counted is not None else "" if said.rank == 2 else ".flatten()"
        predicted = before.assign("predicted", f"{said.text}.argmax({axis}){rows}")
        label = before.assign("asked", f"{true.text}{rows}") if rows else true.text
        each = f"minlength={said.text}.shape[{axis}]"
        hits = f"{label}[{predicted} == {label}]"
        return [f"torch.bincount({found}, {each})" for found in (hits, predicted, label)]

    def value(self, kept: Sequence[str], before: Statements) -> str:
        hits, said, true = kept
        if self.average == "micro":
            return f"(2 * {hits}.double().sum() / ({said} + {true}).sum()).item()"
        f1 = before.assign("f1", f"2 * {hits}.double() / ({said} + {true}).clamp(min=1)")
        if self.average == "weighted":
            return f"(({f1} * {true}).sum() / {true}.sum()).item()"
        return f"{f1}[{said} + {true} > 0].mean().item()"
