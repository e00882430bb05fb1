"""How Pets is trained, from transfer.dlspec: plain functions over the model's outputs, its parameters and the step."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss(logits: Tensor, label: Tensor) -> Tensor:
    """The training loss, a mean over all entries."""
    return F.cross_entropy(logits, label, label_smoothing=0.1)


def metrics(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """What is measured beside the loss, each a mean over all entries."""
    return {"accuracy": (logits.argmax(-1) == label).float().mean()}


def freeze(model: nn.Module) -> None:
    """`stem` keeps its weights and running statistics, and runs as in evaluation. To be
    called after each `model.train()`."""
    model.stem.requires_grad_(False).eval()


def rate_factors(model: nn.Module) -> dict[nn.Parameter, float]:
    """What the rate of each parameter is multiplied by."""
    factors = dict.fromkeys(model.parameters(), 1.0)
    factors.update(dict.fromkeys(model.head.parameters(), 10))
    return factors


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """A group for each rate; weight decay acts on matrices only."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for p, factor in rate_factors(model).items():
        if p.requires_grad:
            decay = 0.01 if p.ndim >= 2 else 0.0
            groups.setdefault((factor, decay), []).append(p)
    return [
        {"params": parameters, "lr": factor * 1e-4, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameter_groups(model), lr=1e-4, fused=True)


def learning_rate(step: int, steps: int) -> float:
    """The rate of update `step`, counted from 0, of `steps` in all."""
    warm = round(0.05 * steps)
    if step < warm:
        return 1e-4 * (step + 1) / warm
    progress = (step - warm) / (steps - warm)
    return 1e-4 * (1 + math.cos(math.pi * progress)) / 2
