"""LAMB: Adam's step, scaled layer by layer to the size of the weights."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Positive
from ..optimizer import Optimizer, pair, single
from ..values import Betas, DecayOn

_CLASS = '''
class LAMB(torch.optim.Optimizer):
    """Adam's step, scaled tensor by tensor to the size of the weights (You et al. 2020)."""

    def __init__(
        self,
        params: list[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * self.scaled_step(p, p.grad, group))

    def scaled_step(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> Tensor:
        state, (beta1, beta2) = self.state[p], group["betas"]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(p)
            state["square"] = torch.zeros_like(p)
        state["step"] += 1
        mean = state["mean"].lerp_(grad, 1 - beta1) / (1 - beta1 ** state["step"])
        square = state["square"].lerp_(grad * grad, 1 - beta2)
        root = (square / (1 - beta2 ** state["step"])).sqrt()
        step = mean / (root + group["eps"]) + group["weight_decay"] * p
        size, length = p.detach().norm(), step.norm()
        return torch.where((size > 0) & (length > 0), size / length, 1.0) * step
'''


class LAMB(Optimizer):
    """`LAMB(lr = 2e-3, betas = [0.9, 0.999], eps = 1e-6, decay = 0)` (You et al. 2020): for very large batches.

    `lr` is the peak rate, which the schedule scales. `decay` takes part in the step that is scaled; it acts on
    matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "LAMB"
    example: ClassVar[str] = "LAMB(lr = 2e-3, decay = 0.01)"
    package: ClassVar[str] = ""
    source: ClassVar[str] = _CLASS

    lr: Positive
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-6
    decay: NotNegative = 0
    decay_on: DecayOn = "matrices"

    @property
    def moments(self) -> int:
        return 2

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        return "LAMB", (*pair("betas", self.betas, (0.9, 0.999)), *single("eps", self.eps, 1e-6))
