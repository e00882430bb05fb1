"""LARS: SGD with a rate for each layer, scaled to the size of its weights."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Flag, NotNegative, Positive
from ..optimizer import Optimizer
from ..values import BelowOne, DecayOn


class LARS(Optimizer):
    """`LARS(lr = 4.8, momentum = 0.9, trust = 1e-3, nesterov = false, decay = 0)` (You et al. 2017).

    A layer's rate is `trust` times the norm of its weights over that of its gradient: for very large batches. Biases
    and gains, which do not decay, keep the plain rate. `lr` is the peak rate, which the schedule scales. `decay`
    joins the gradient; it acts on matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "LARS"
    example: ClassVar[str] = "LARS(lr = 4.8, decay = 1e-6)"
    runs: ClassVar[bool] = False
    spellings: ClassVar[dict[str, str]] = {**Optimizer.spellings, "trust_coefficient": "trust", "eta": "trust"}

    lr: Positive
    momentum: BelowOne = 0.9
    trust: Positive = 1e-3
    nesterov: Flag = False
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 1
