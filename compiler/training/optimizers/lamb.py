"""LAMB: Adam's step, scaled layer by layer to the size of the weights."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer
from ..values import Betas, DecayOn


class LAMB(Optimizer):
    """`LAMB(lr = 2e-3, betas = [0.9, 0.999], eps = 1e-6, decay = 0)` (You et al. 2020): for very large batches.

    `lr` is the peak rate, which the schedule scales. `decay` takes part in the step that is scaled; it acts on
    matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "LAMB"
    example: ClassVar[str] = "LAMB(lr = 2e-3, decay = 0.01)"
    runs: ClassVar[bool] = False

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-6
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 2
