"""binary_cross_entropy_with_logits: how far yes-or-no predictions are from what is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ...layers.options import PositiveOrNone
from ..measure import Loss, Operand, Statements, Value, averaged, check_alike, is_class_of, target_like
from ..spelling import real_text
from ..values import Reduce


class BinaryCrossEntropyWithLogits(Loss):
    """`binary_cross_entropy_with_logits(logits, data.y)`: the mean of `-y log p - (1 - y) log (1 - p)`.

    `p` is the sigmoid of the logits; `y` lies from 0 to 1 and has the shape of the logits. Worked out so that large
    logits lose nothing. With `weight` what is true counts that much more than what is not: `-weight * y log p -
    (1 - y) log (1 - p)`. `reduce = sum` sums each example, and averages the batch.
    """

    word: ClassVar[str] = "binary_cross_entropy_with_logits"
    example: ClassVar[str] = "binary_cross_entropy_with_logits(output, data.y)"
    spellings: ClassVar[dict[str, str]] = {"pos_weight": "weight", "reduction": "reduce"}
    entrywise: ClassVar[bool] = True
    target_numbers: ClassVar[Literal["unit", "signs", "flags"] | None] = "unit"
    takes: ClassVar[tuple[str, ...]] = ("logits", "data.y")
    heads: ClassVar[dict[str, str]] = {
        "sigmoid": "takes logits: it has a sigmoid of its own",
        "softmax": "takes logits: it has a sigmoid of its own",
    }

    weight: PositiveOrNone = None
    reduce: Reduce = "mean"

    def check(self, values: Sequence[Value]) -> None:
        check_alike(self.word, *values, of_classes="cross_entropy" if is_class_of(*values) else "")

    def code(self, operands: Sequence[Operand], before: Statements) -> str:
        said, true = operands
        arguments = [said.text, target_like(said, true)]
        if self.weight is not None:
            arguments.append(f"pos_weight=torch.tensor({real_text(self.weight)})")
        return averaged("F.binary_cross_entropy_with_logits", arguments, self.reduce, said)
