"""A linear layer: the FLOPs of its products, which outweigh the sum for its bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from ..use import Use
from .base import Kind


class Linear(Kind):
    """x [..., D] comes into a layer with a weight [N, D]."""

    unit: ClassVar[str] = "TFLOP/s"

    def forward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        (weight,) = (one for one in use.weights if one.ndim == 2)
        return 2 * use.values["x"].numel() * weight.shape[0]

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Two products: by x and by the weight."""
        return 2 * self.forward_work(use, outputs)


KIND = Linear()
