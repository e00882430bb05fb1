"""How GPT is trained, from gpt.dlspec: plain functions over the model's outputs, its parameters and the step."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The training loss, a mean over all entries."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay acts on matrices only: not on biases, gains and other vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameter_groups(model), lr=6e-4, betas=(0.9, 0.95), fused=True
    )


def learning_rate(step: int) -> float:
    """The rate of update `step`, counted from 0."""
    if step < 2_000:
        return 6e-4 * (step + 1) / 2_000
    progress = (step - 2_000) / (600_000 - 2_000)
    return 6e-5 + (6e-4 - 6e-5) * (1 + math.cos(math.pi * progress)) / 2
