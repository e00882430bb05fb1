"""RAdam: Adam that waits until its means can be trusted."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer, pair, single
from ..values import Betas, DecayOn


class RAdam(Optimizer):
    """`RAdam(lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, decay = 0)` (Liu et al. 2020).

    Adam with the variance of its early steps rectified, so that it asks for no warm-up. `lr` is the peak rate, which
    the schedule scales. `decay` joins the gradient; it acts on matrices only unless `decay_on = all`. What is left
    out is PyTorch's.
    """

    word: ClassVar[str] = "RAdam"
    example: ClassVar[str] = "RAdam(lr = 1e-3)"

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 2

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        return "RAdam", (*pair("betas", self.betas, (0.9, 0.999)), *single("eps", self.eps, 1e-8))
