"""Adagrad: rates that fall with all the gradients that a weight has seen."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer, single
from ..values import DecayOn


class Adagrad(Optimizer):
    """`Adagrad(lr = 1e-2, eps = 1e-10, decay = 0, lr_decay = 0, start = 0)` (Duchi et al. 2011).

    Each weight's rate is divided by the root of the sum of its squared gradients, which begins at `start`; with
    `lr_decay` the rate of step `t` is divided by `1 + t * lr_decay` too. `lr` is the peak rate, which the schedule
    scales. `decay` joins the gradient; it acts on matrices only unless `decay_on = all`. What is left out is
    PyTorch's.
    """

    word: ClassVar[str] = "Adagrad"
    example: ClassVar[str] = "Adagrad(lr = 1e-2)"
    spellings: ClassVar[dict[str, str]] = {**Optimizer.spellings, "initial_accumulator_value": "start"}

    lr: Positive
    eps: Positive = 1e-10
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"
    lr_decay: NotNegative = 0
    start: NotNegative = 0

    @property
    def moments(self) -> int:
        return 1

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        start = single("initial_accumulator_value", self.start, 0)
        return "Adagrad", (*single("lr_decay", self.lr_decay, 0), *start, *single("eps", self.eps, 1e-10))
