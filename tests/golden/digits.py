"""MLP, from digits.dlspec. It needs PyTorch and nothing else; it is yours to keep and change."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """The constants of digits.dlspec."""

    hidden: int = 64
    classes: int = 10


class MLP(nn.Module):
    """image [B, 1, 8, 8] -> logits [B, classes]"""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, config.hidden)
        self.fc2 = nn.Linear(config.hidden, config.hidden)
        self.head = nn.Linear(config.hidden, config.classes)

    def forward(self, image: Tensor) -> Tensor:
        x = image.flatten(1)  # [B, 64]
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.head(x)

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights, in the order of the spec."""
        init_linear(self.fc1, generator)
        init_linear(self.fc2, generator)
        init_linear(self.head, generator)


def init_linear(linear: nn.Linear, generator: torch.Generator | None) -> None:
    """PyTorch's own initial weights of a Linear, drawn from `generator`."""
    bound = 1 / math.sqrt(linear.in_features)
    nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
    if linear.bias is not None:
        nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
