"""binary_cross_entropy: how far probabilities are from what is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ..measure import Loss, Operand, Statements, Value, averaged, check_alike, is_class_of, target_like
from ..values import Reduce

_UNBOUNDED = "Linear Conv1d Conv2d Conv3d LayerNorm RMSNorm BatchNorm relu gelu silu tanh log_softmax".split()


class BinaryCrossEntropy(Loss):
    """`binary_cross_entropy(output, data.y)`: the mean of `-y log p - (1 - y) log (1 - p)`.

    `p` is the output, a probability: the model ends in a sigmoid. `y` lies from 0 to 1 and has its shape. Of logits
    there is `binary_cross_entropy_with_logits`, which loses nothing where they are large. `reduce = sum` sums each
    example, and averages the batch.
    """

    word: ClassVar[str] = "binary_cross_entropy"
    example: ClassVar[str] = "binary_cross_entropy(output, data.y)"
    entrywise: ClassVar[bool] = True
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = "unit"
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    heads: ClassVar[dict[str, str]] = dict.fromkeys(_UNBOUNDED, "takes probabilities, from 0 to 1")
    head_help: ClassVar[tuple[str, str]] = (
        "logits-head",
        "write `binary_cross_entropy_with_logits`, or let the model end in `sigmoid`",
    )

    reduce: Reduce = "mean"

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values, of_classes="cross_entropy" if is_class_of(*values) else "")

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        return averaged("F.binary_cross_entropy", (said.text, target_like(said, true)), self.reduce, said)
