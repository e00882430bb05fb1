"""Adam: rates of their own for every weight, from running means of its gradients."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Flag, NotNegative, Positive
from ..optimizer import Optimizer, flag, pair, single
from ..values import Betas, DecayOn


class Adam(Optimizer):
    """`Adam(lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, decay = 0)` (Kingma and Ba 2015).

    `lr` is the peak rate, which the schedule scales. `decay` joins the gradient, as in PyTorch (AdamW keeps it
    apart); it acts on matrices only unless `decay_on = all`. `amsgrad` never
    lets a weight's rate rise again (Reddi et al. 2018). What is left out is PyTorch's.
    """

    word: ClassVar[str] = "Adam"
    example: ClassVar[str] = "Adam(lr = 2e-4, betas = [0.5, 0.999])"
    fused: ClassVar[bool] = True

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: NotNegative = 0
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
        return "Adam", (*options, "fused=True")
