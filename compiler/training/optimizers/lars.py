"""LARS: SGD with a rate for each layer, scaled to the size of its weights."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Flag, NotNegative, Positive
from ..optimizer import Optimizer, flag, single
from ..values import BelowOne, DecayOn

_CLASS = '''
class LARS(torch.optim.Optimizer):
    """SGD whose rate for a matrix or kernel goes by the size of its weights (You et al. 2017)."""

    def __init__(
        self,
        params: list[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        trust: float = 1e-3,
        nesterov: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "trust": trust,
            "nesterov": nesterov,
            "weight_decay": 0.0,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(self.velocity(p, p.grad, group))

    def velocity(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> Tensor:
        decay, momentum, rate = group["weight_decay"], group["momentum"], group["lr"]
        if p.ndim >= 2:
            size = p.detach().norm()
            length = grad.norm() + decay * size
            trust = group["trust"] * size / length
            rate = rate * torch.where((size > 0) & (length > 0), trust, 1.0)
        step = rate * (grad + decay * p)
        state = self.state[p]
        if not state:
            state["velocity"] = torch.zeros_like(p)
        velocity = state["velocity"].mul_(momentum).add_(step)
        return momentum * velocity + step if group["nesterov"] else velocity
'''


class LARS(Optimizer):
    """`LARS(lr = 4.8, momentum = 0.9, trust = 1e-3, nesterov = false, decay = 0)` (You et al. 2017).

    The rate of a matrix or kernel is multiplied by `trust` times the norm of its weights over that of its gradient:
    for very large batches. Biases and gains keep the plain rate. `lr` is the peak rate, which the schedule scales; it
    acts on what enters the momentum. `decay` joins the gradient; it acts on matrices only unless `decay_on = all`.
    """

    word: ClassVar[str] = "LARS"
    example: ClassVar[str] = "LARS(lr = 4.8, decay = 1e-6)"
    package: ClassVar[str] = ""
    source: ClassVar[str] = _CLASS
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

    def constructor(self) -> tuple[str, tuple[str, ...]]:
        options = *single("momentum", self.momentum, 0.9), *single("trust", self.trust, 1e-3)
        return "LARS", (*options, *flag("nesterov", self.nesterov))
