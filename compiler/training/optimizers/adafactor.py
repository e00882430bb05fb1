"""Adafactor: Adam's rates from a row and a column of each matrix, and next to no memory."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer, single
from ..values import AtLeastOne, BelowZero, DecayOn


class Adafactor(Optimizer):
    """`Adafactor(lr = 1e-2, beta2_decay = -0.8, clip = 1, decay = 0)` (Shazeer and Stern 2018).

    Squared gradients are kept as the sums of a matrix's rows and columns; their mean at step `t` forgets
    `t ^ beta2_decay` of itself, and steps are relative to the size of the weights. `clip`, 1 or more, is the largest
    root mean square of a step. `lr` is the peak rate, which the schedule scales; at step `t` it is at most
    `t ^ -0.5`. `decay` takes `lr * decay` of themselves off the weights; it acts on matrices only unless
    `decay_on = all`. What is left out is PyTorch's.
    """

    word: ClassVar[str] = "Adafactor"
    example: ClassVar[str] = "Adafactor(lr = 1e-2)"
    factored: ClassVar[bool] = True
    spellings: ClassVar[dict[str, str]] = {
        **Optimizer.spellings,
        "d": "clip",
        "clip_threshold": "clip",
        "decay_rate": "beta2_decay",
    }

    lr: Positive
    beta2_decay: BelowZero = -0.8
    clip: AtLeastOne = 1
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 0

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        return "Adafactor", (*single("beta2_decay", self.beta2_decay, -0.8), *single("d", self.clip, 1))
