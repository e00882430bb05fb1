"""ScheduleFreeAdamW: AdamW that averages its weights in place of a falling rate."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer
from ..values import Betas, DecayOn


class ScheduleFreeAdamW(Optimizer):
    """`ScheduleFreeAdamW(lr = 2.5e-3, betas = [0.9, 0.999], eps = 1e-8, decay = 0)` (Defazio et al. 2024).

    What is validated and exported are averaged weights, as good as those of a rate that falls to nothing at that
    moment; a schedule may warm it up, and nothing else. `lr` is the peak rate. `decay` takes `lr * decay` of
    themselves off the weights; it acts on matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "ScheduleFreeAdamW"
    example: ClassVar[str] = "ScheduleFreeAdamW(lr = 2.5e-3)"
    runs: ClassVar[bool] = False

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 2
