"""How SimCLR is trained, from simclr.dlspec: plain functions over the model's outputs, its parameters and the step."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss(a: Tensor, b: Tensor) -> Tensor:
    """The training loss."""
    views = F.normalize(torch.cat([a, b]), dim=-1)
    likeness = (views @ views.T / 0.1).fill_diagonal_(-torch.inf)
    other = torch.arange(len(views), device=views.device).roll(len(a))
    return F.cross_entropy(likeness, other)


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


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay acts on matrices only: not on biases, gains and other vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 1e-6},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return LARS(parameter_groups(model), lr=4.8)


def learning_rate(step: int, steps: int, epoch: int) -> float:
    """The rate of update `step`, counted from 0, of `steps` in all; a pass over the data takes `epoch`."""
    warm = 10 * epoch
    if step < warm:
        return 4.8 * (step + 1) / warm
    progress = (step - warm) / (steps - warm)
    return 4.8 * (1 + math.cos(math.pi * progress)) / 2
