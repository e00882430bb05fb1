"""A linear layer with the cross-entropy of its logits: the FLOPs of the layer, which outweigh the loss's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from torch import Tensor

from ..liger import operation
from ..use import Use
from .base import Kind, Rival


class LinearCrossEntropy(Kind):
    """x [..., D], and targets [...], come into a module with a weight [V, D]; what is worked out twice counts once."""

    unit: ClassVar[str] = "TFLOP/s"

    def forward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """One product. Gradients may be made along with it: `both` is what to compare."""
        module: Any = use.run
        return 2 * use.values["x"].numel() * module.weight.shape[0]

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Two products: by x and by the weight."""
        return 2 * self.forward_work(use, outputs)

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        apply = operation("fused_linear_cross_entropy", "LigerFusedLinearCrossEntropyFunction")
        asked = {name for name, given in vars(use.entry.features["loss"]).items() if given}
        if apply is None or asked - {"chunked"}:
            return
        module: Any = use.run

        def run(x: Tensor, targets: Tensor) -> Tensor:
            return apply(x.flatten(0, -2), module.weight, targets.flatten(), module.bias)[0]

        yield Rival("Liger-Kernel", run)


KIND = LinearCrossEntropy()
