"""RMSprop: gradients divided by the root of their running mean square."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Flag, NotNegative, Positive
from ...semantics.number import real
from ..optimizer import Optimizer, flag, single
from ..values import BelowOne, DecayOn


class RMSprop(Optimizer):
    """`RMSprop(lr = 1e-2, alpha = 0.99, momentum = 0, eps = 1e-8, decay = 0, centered = false)` (Hinton 2012).

    `alpha` is how much of the mean square stays from step to step; `centered` takes the squared mean off it. `lr` is
    the peak rate, which the schedule scales. `decay` joins the gradient; it acts on matrices only unless
    `decay_on = all`. What is left out is PyTorch's.
    """

    word: ClassVar[str] = "RMSprop"
    example: ClassVar[str] = "RMSprop(lr = 1e-3, momentum = 0.9)"
    spellings: ClassVar[dict[str, str]] = {**Optimizer.spellings, "rho": "alpha", "smoothing": "alpha"}

    lr: Positive
    alpha: BelowOne = 0.99
    momentum: BelowOne = 0
    eps: Positive = 1e-8
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"
    centered: Flag = False

    @property
    def moments(self) -> int:
        return 1 + (real(self.momentum) > 0) + self.centered

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        options = *single("alpha", self.alpha, 0.99), *single("eps", self.eps, 1e-8)
        return "RMSprop", (*options, *single("momentum", self.momentum, 0), *flag("centered", self.centered))
