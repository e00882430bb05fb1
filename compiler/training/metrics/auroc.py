"""auroc: how often what is true is ranked above what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...semantics.tensor import Tensor
from ..measure import SetMetric, Value, check_alike, check_classes


class Auroc(SetMetric):
    """`auroc(output, data.y)`: the area under the curve of true against false positives, over the whole validation set.

    The output is a score of any scale, and `y`, 0 or 1, has its shape. With classes, `auroc(logits, data.label)`, it
    is the mean over the classes, each against the rest.
    """

    word: ClassVar[str] = "auroc"
    example: ClassVar[str] = "auroc(output, data.y)"
    runs: ClassVar[bool] = False
    takes: ClassVar[tuple[str, ...]] = ("output", "data.y")

    def check(self, values: Sequence[Value]) -> None:
        said, true = values
        if isinstance(said.type, Tensor) and isinstance(true.type, Tensor) and true.type.rank < said.type.rank:
            check_classes(self.word, said, true)
        else:
            check_alike(self.word, said, true)
