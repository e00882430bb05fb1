"""Cross-entropy: reads the logits once forward; backward reads them once more and writes their gradient."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ..liger import operation
from ..use import Use
from .base import Kind, Rival


class CrossEntropy(Kind):
    """logits [..., V] and labels [...] give a mean; numbers, and the weights of classes, by name."""

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        apply = operation("cross_entropy", "LigerCrossEntropyFunction")
        asked = {"weights", "z_loss"} & {*use.values}
        if apply is None or asked or use.entry.features.get("summed"):
            return
        ignored, smoothing = use.values.get("ignore", -100), use.values.get("smoothing", 0.0)

        def run(logits: Tensor, labels: Tensor, **_: object) -> Tensor:
            # It works out the gradient forward, and leaves it where the logits were: it stands last.
            return apply(logits.flatten(0, -2), labels.flatten(), None, ignored, 0.0, smoothing)[0]

        yield Rival("Liger-Kernel", run)


KIND = CrossEntropy()
