"""hinge: what is on the wrong side of a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...layers.options import Positive
from ...semantics.number import real
from ...semantics.tensor import Tensor
from ..measure import Loss, Misfit, Value, check_alike, check_classes


class Hinge(Loss):
    """`hinge(output, data.y, margin = 1)`: the mean of `max(0, margin - y * output)`, where `y` is 1 or -1 and has the
    shape of the output.

    With classes, `hinge(logits, data.label)`, [B, classes] against int[B]: the mean over the other classes of
    `max(0, margin - logits[label] + logits[other])` (Crammer and Singer 2001). A number as target, 1 or -1, stands
    for all entries.
    """

    word: ClassVar[str] = "hinge"
    example: ClassVar[str] = "hinge(output, data.y)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")
    heads: ClassVar[dict[str, str]] = dict.fromkeys(["softmax", "sigmoid"], "takes scores, on both sides of 0")

    margin: Positive = 1

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        if true.number is not None and abs(real(true.number)) != 1:
            raise Misfit("wrong-value", "`hinge` takes 1 or -1 as target", true, "neither")
        if isinstance(said.type, Tensor) and isinstance(true.type, Tensor) and true.type.rank < said.type.rank:
            check_classes(self.word, said, true)
        else:
            check_alike(self.word, said, true)
