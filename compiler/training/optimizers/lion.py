"""Lion: the sign of a momentum is the step."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer, pair
from ..values import Betas, DecayOn


class Lion(Optimizer):
    """`Lion(lr = 1e-4, betas = [0.9, 0.99], decay = 0)` (Chen et al. 2023).

    Every weight moves by `lr`, up or down: take a rate three to ten times smaller, and a decay as much larger, than
    for AdamW. `lr` is the peak rate, which the schedule scales. `decay` takes `lr * decay` of themselves off the
    weights; it acts on matrices only unless `decay_on = all`. It comes with `pip install "dlspec[optimizers]"`.
    """

    word: ClassVar[str] = "Lion"
    example: ClassVar[str] = "Lion(lr = 1e-4, decay = 1)"
    package: ClassVar[str] = "pytorch_optimizer"

    lr: Positive
    betas: Betas = (0.9, 0.99)
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 1

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        return "Lion", pair("betas", self.betas, (0.9, 0.99))
