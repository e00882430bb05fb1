"""How EfficientNetB0 is trained, from efficientnet.dlspec: plain functions over the
model's outputs, its parameters and the step."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def loss(logits: Tensor, label: Tensor) -> Tensor:
    """The training loss, a mean over all entries."""
    return F.cross_entropy(logits, label, label_smoothing=0.1)


def metrics(logits: Tensor, label: Tensor) -> dict[str, Tensor]:
    """What is measured beside the loss, each a mean over all entries."""
    top_5 = logits.topk(5, dim=-1).indices
    hits_5 = (top_5 == label.unsqueeze(-1)).any(-1)
    return {
        "accuracy": (logits.argmax(-1) == label).float().mean(),
        "accuracy_top_5": hits_5.float().mean(),
    }


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay acts on matrices only: not on biases, gains and other vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 1e-5},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(parameter_groups(model), lr=0.256, momentum=0.9)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """To be called after update `step`, counted from 0: `average`, a copy of the model
    that is validated and exported, keeps 0.9999 of its weights, less after few updates
    so that it forgets where it began, and takes the rest, and all buffers, from the
    model."""
    lerp = get_ema_multi_avg_fn(min(0.9999, (1 + step) / (10 + step)))
    lerp(list(average.parameters()), list(model.parameters()), 0)
    for kept, buffer in zip(average.buffers(), model.buffers()):
        kept.copy_(buffer)


def learning_rate(step: int, steps: int, epoch: int) -> float:
    """The rate of update `step`, counted from 0, of `steps` in all; a pass over the data takes `epoch`."""
    warm = 5 * epoch
    if step < warm:
        return 0.256 * (step + 1) / warm
    progress = (step - warm) / (steps - warm)
    return 0.256 * (0.00256 / 0.256) ** progress
