"""SGD: gradient descent, with momentum where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ...layers.options import Flag, NotNegative, Positive
from ...semantics.number import real
from ..base import OptionFault
from ..optimizer import Optimizer, flag, single
from ..values import BelowOne, DecayOn


class SGD(Optimizer):
    """`SGD(lr = 0.1, momentum = 0.9, nesterov = false, decay = 0)` (Sutskever et al. 2013 for the momentum).

    `lr` is the peak rate, which the schedule scales. Without `momentum` it is plain gradient descent. `decay` joins
    the gradient, as in PyTorch; it acts on matrices only unless `decay_on = all`. `dampening` is
    the part of a new gradient that does not enter the momentum.
    """

    word: ClassVar[str] = "SGD"
    example: ClassVar[str] = "SGD(lr = 0.1, momentum = 0.9, nesterov = true, decay = 1e-4)"
    fused: ClassVar[bool] = True

    lr: Positive
    momentum: BelowOne = 0
    nesterov: Flag = False
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"
    dampening: BelowOne = 0

    def faults(self) -> Iterator[OptionFault]:
        if self.nesterov and real(self.momentum) == 0:
            message = "Nesterov's look ahead goes along the momentum, and there is none"
            yield OptionFault("conflict", message, "nesterov", "needs `momentum`", "write `momentum = 0.9`")
        elif self.nesterov and real(self.dampening) > 0:
            message = "Nesterov's look ahead is defined for a momentum that is not dampened"
            yield OptionFault("conflict", message, "dampening", "and `nesterov = true`", "take one of the two out")

    @property
    def moments(self) -> int:
        return 0 if real(self.momentum) == 0 else 1

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        dampening = single("dampening", self.dampening, 0)
        options = *single("momentum", self.momentum, 0), *dampening, *flag("nesterov", self.nesterov)
        return "SGD", (*options, "fused=True")
