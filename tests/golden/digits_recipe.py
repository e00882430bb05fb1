"""How MLP is trained, from digits.dlspec: plain functions over the model's outputs, its parameters and the step."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss(logits: Tensor, label: Tensor) -> Tensor:
    """The training loss, a mean over all entries."""
    return F.cross_entropy(logits, label)


def metrics(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """What is measured beside the loss, each a mean over all entries."""
    return {"accuracy": (logits.argmax(-1) == label).float().mean()}


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay acts on matrices only: not on biases, gains and other vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameter_groups(model), lr=3e-3, fused=True)


def learning_rate(step: int, steps: int) -> float:
    """The rate of update `step`, counted from 0, of `steps` in all."""
    warm = round(0.05 * steps)
    if step < warm:
        return 3e-3 * (step + 1) / warm
    progress = (step - warm) / (steps - warm)
    return 3e-3 * (1 + math.cos(math.pi * progress)) / 2
