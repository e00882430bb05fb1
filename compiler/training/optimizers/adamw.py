"""AdamW: Adam with the weight decay apart from the gradient."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Flag, NotNegative, Positive
from ..optimizer import Optimizer, flag, pair, single
from ..values import Betas, DecayOn


class AdamW(Optimizer):
    """`AdamW(lr = 3e-4, betas = [0.9, 0.999], eps = 1e-8, decay = 0.01)` (Loshchilov and Hutter 2019).

    `lr` is the peak rate, which the schedule scales. `decay` takes `lr * decay` of themselves off the weights in each
    step; it acts on matrices only unless `decay_on = all`. `amsgrad` never
    lets a weight's rate rise again (Reddi et al. 2018). What is left out is PyTorch's.
    """

    word: ClassVar[str] = "AdamW"
    example: ClassVar[str] = "AdamW(lr = 3e-4, betas = [0.9, 0.95], decay = 0.1)"
    decays_unasked: ClassVar[bool] = True
    fused: ClassVar[bool] = True

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: NotNegative = 0.01
    decay_on: DecayOn = "matrices"
    amsgrad: Flag = False

    @property
    def moments(self) -> int:
        return 3 if self.amsgrad else 2

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        options = (
            *pair("betas", self.betas, (0.9, 0.999)),
            *single("eps", self.eps, 1e-8),
            *flag("amsgrad", self.amsgrad),
        )
        return "AdamW", (*options, "fused=True")
