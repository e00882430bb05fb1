"""How Gan is trained, from dcgan.dlspec: plain functions over the model's outputs, its
parameters and the step.

A step runs the phases on one batch, each with the weights as they then are: `judge`,
then `forge`. All of the model runs as in training; gradients reach what the phase
updates, and running statistics of other parts are put back.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def judge_loss(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """The loss of the phase `judge`, a mean over all entries."""
    on_real_loss = F.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
    on_fake_loss = F.binary_cross_entropy_with_logits(
        on_fake, torch.zeros_like(on_fake)
    )
    return on_real_loss + on_fake_loss


def forge_loss(on_fake: Tensor) -> Tensor:
    """The loss of the phase `forge`, a mean over all entries."""
    return F.binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake))


def judge_parameters(model: nn.Module) -> list[nn.Parameter]:
    """What the phase `judge` updates: `critic`."""
    return list(model.critic.parameters())


def judge_parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """All parameters in one group, without weight decay."""
    parameters = [p for p in judge_parameters(model) if p.requires_grad]
    return [{"params": parameters}]


def judge_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        judge_parameter_groups(model), lr=2e-4, betas=(0.5, 0.999), fused=True
    )


def forge_parameters(model: nn.Module) -> list[nn.Parameter]:
    """What the phase `forge` updates: `generator`."""
    return list(model.generator.parameters())


def forge_parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """All parameters in one group, without weight decay."""
    parameters = [p for p in forge_parameters(model) if p.requires_grad]
    return [{"params": parameters}]


def forge_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        forge_parameter_groups(model), lr=2e-4, betas=(0.5, 0.999), fused=True
    )


def learning_rate(step: int) -> float:
    """The rate of every update."""
    return 2e-4
