"""f1: the harmonic mean of precision and recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from ...layers.options import RealOrNone
from ..measure import Misfit, Operand, SetMetric, Statements, Value, check_classes
from ..values import Word
from ..words import word_option
from .one_score import check_one_score, split_scores, told_above


class F1(SetMetric):
    """`f1(logits, data.label, average = macro)`: the harmonic mean of precision and recall of each class, over the
    whole validation set: `2 * hits / (said + true)`.

    Shapes are those of `accuracy`. `average` is `macro` (every class counts alike, but for those that neither occur nor
    are said), `weighted` (as often as it occurs), `micro` (every entry counts alike); the latter two are logged as
    `f1_weighted` and `f1_micro`. With one score for each entry, `f1(score, data.y, above = 0)`, it is that of what is
    true, and what is above is said to be; two of one score are logged as `f1_above_0` and `f1_above_0.5`. Targets that
    the loss ignores do not count.
    """

    word: ClassVar[str] = "f1"
    example: ClassVar[str] = "f1(logits, data.label)"
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.label")
    masks: ClassVar[bool] = True
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = "flags"
    keeps: ClassVar[Mapping[str, Literal["sum", "join"]]] = {"hits": "sum", "said": "sum", "true": "sum"}

    average: Annotated[Word, word_option("way to average", "macro weighted micro")] = "macro"
    above: RealOrNone = None

    def asks_class(self, values: Sequence[Value]) -> bool:
        return self.above is None

    @property
    def name(self) -> str:
        return "f1" if self.average == "macro" else f"f1_{self.average}"

    @property
    def apart(self) -> str:
        return told_above(self.above)

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        if self.above is not None and self.average != "macro":
            message = "`average` is over several classes, and `above` of one score"
            raise Misfit("wrong-value", message, said, f"{said.type} here", "leave one of them out")
        if not check_one_score(self.word, said, true, self.above):
            check_classes(self.word, said, true)

    def kept(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> Sequence[str]:
        if self.above is not None:
            *both, mask = split_scores(said, true, counted, self.above)
            rows = "" if mask is None else f"[{mask}]"
            names = ("predicted", "asked")
            predicted, asked = (before.assign(name, f"({f}){rows}") for name, f in zip(names, both, strict=True))
            return [f"({predicted} & {asked}).sum()", f"{predicted}.sum()", f"{asked}.sum()"]
        axis = 1 if said.rank in (4, 5) else -1
        rows = f"[{counted}]" if counted is not None else "" if said.rank == 2 else ".flatten()"
        predicted = before.assign("predicted", f"{said.text}.argmax({axis}){rows}")
        label = before.assign("asked", f"{true.text}{rows}") if rows else true.text
        each = f"minlength={said.text}.shape[{axis}]"
        hits = f"{label}[{predicted} == {label}]"
        return [f"torch.bincount({found}, {each})" for found in (hits, predicted, label)]

    def value(self, kept: Sequence[str], before: Statements) -> str:
        hits, said, true = kept
        if self.above is not None:
            return f"(2 * {hits}.double() / ({said} + {true})).item()"
        if self.average == "micro":
            return f"(2 * {hits}.double().sum() / ({said} + {true}).sum()).item()"
        f1 = before.assign("f1", f"2 * {hits}.double() / ({said} + {true}).clamp(min=1)")
        if self.average == "weighted":
            return f"(({f1} * {true}).sum() / {true}.sum()).item()"
        return f"{f1}[{said} + {true} > 0].mean().item()"
