"""NAdam: Adam that looks ahead."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer, pair, single
from ..values import Betas, DecayOn


class NAdam(Optimizer):
    """`NAdam(lr = 2e-3, betas = [0.9, 0.999], eps = 1e-8, decay = 0, momentum_decay = 4e-3)` (Dozat 2016).

    Adam with Nesterov's momentum; `momentum_decay` says how fast the momentum grows to its full strength. `lr` is the
    peak rate, which the schedule scales. `decay` joins the gradient; it acts on matrices only unless
    `decay_on = all`. What is left out is PyTorch's.
    """

    word: ClassVar[str] = "NAdam"
    example: ClassVar[str] = "NAdam(lr = 2e-3)"

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"
    momentum_decay: NotNegative = 4e-3

    @property
    def moments(self) -> int:
        return 2

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        options = *pair("betas", self.betas, (0.9, 0.999)), *single("eps", self.eps, 1e-8)
        return "NAdam", (*options, *single("momentum_decay", self.momentum_decay, 4e-3))
