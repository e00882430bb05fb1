"""bleu: how many runs of words a translation shares with the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from ...layers.options import Whole
from ...semantics.number import whole
from ...semantics.tensor import Tensor
from ..measure import Misfit, Operand, SetMetric, Statements, Value, check_classes


class Bleu(SetMetric):
    """`bleu(logits, data.targets, n = 4)`: the geometric mean of the precision of runs of 1 to `n` words, less a
    penalty for what is too short, from 0 to 100, over the whole validation set (Papineni et al. 2002). With
    `n = 2` it is logged as `bleu_2`.

    The text of the most likely tokens, each after the true ones before it, is held against that of the targets. It is
    computed by sacrebleu (Post 2018), whose words are those of `mteval-v13a`: `pip install "dlspec[translation]"`.
    """

    word: ClassVar[str] = "bleu"
    example: ClassVar[str] = "bleu(logits, data.targets)"
    counts_classes: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.targets")
    masks: ClassVar[bool] = True
    keeps: ClassVar[Mapping[str, Literal["sum", "join"]]] = {"said": "join", "true": "join"}
    decodes: ClassVar[bool] = True

    n: Whole = 4

    @property
    def name(self) -> str:
        return "bleu" if whole(self.n) == 4 else f"bleu_{whole(self.n)}"

    def check(self, values: Sequence[Value]) -> None:
        check_classes(self.word, *values)
        said = values[0]
        if isinstance(said.type, Tensor) and said.type.rank != 3:
            message = f"`bleu` takes the tokens of a text, and `{said.shown}` is {said.type}"
            raise Misfit("shape-mismatch", message, said, f"{said.type} here", "such as [B, T, vocab]")

    def kept(self, said: Operand, true: Operand, counted: str | None, before: Statements) -> Sequence[str]:
        predicted = f"{said.text}.argmax(-1)"
        if counted is not None:
            predicted += f".masked_fill(~{counted}, -100)"
        return predicted, true.text

    def value(self, kept: Sequence[str], before: Statements) -> str:
        said, true = (f"[decode(row[row >= 0].tolist()) for row in {tokens}]" for tokens in kept)
        said, true = before.assign("said", said), before.assign("true", true)
        order = "" if whole(self.n) == 4 else f"max_ngram_order={whole(self.n)}"
        return f"BLEU({order}).corpus_score({said}, [{true}]).score"
