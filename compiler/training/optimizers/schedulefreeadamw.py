"""ScheduleFreeAdamW: AdamW that averages its weights in place of a falling rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ...semantics.number import real
from ..base import OptionFault
from ..optimizer import Optimizer, pair, single
from ..values import Betas, DecayOn


class ScheduleFreeAdamW(Optimizer):
    """`ScheduleFreeAdamW(lr = 2.5e-3, betas = [0.9, 0.999], eps = 1e-8, decay = 0)` (Defazio et al. 2024).

    What is validated and exported are averaged weights, as good as those of a rate that falls to nothing at that
    moment; a schedule may warm it up, and nothing else. `lr` is the peak rate. `decay` takes `lr * decay` of
    themselves off the weights; it acts on matrices only unless `decay_on = all`. It comes with
    `pip install "dlspec[optimizers]"`.
    """

    word: ClassVar[str] = "ScheduleFreeAdamW"
    example: ClassVar[str] = "ScheduleFreeAdamW(lr = 2.5e-3)"
    package: ClassVar[str] = "pytorch_optimizer"
    doc: ClassVar[str] = (
        "Its `eval()` puts averages of the weights into the model, to be validated and saved; its `train()` puts back "
        "what is trained."
    )

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    def faults(self) -> Iterator[OptionFault]:
        if real(self.betas[0]) == 0:
            message = "the first of `betas` is how far the weights that learn lie on the way to their average"
            yield OptionFault("wrong-value", message, "betas", "0: they are not averaged", "such as `[0.9, 0.999]`")

    @property
    def moments(self) -> int:
        return 2

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        options = *pair("betas", self.betas, (0.9, 0.999)), *single("eps", self.eps, 1e-8)
        return "ScheduleFreeAdamW", options
