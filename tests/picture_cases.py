"""Pictures of known and open sizes, and how far apart two results are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from one_layer import Dim, OneLayer, open_dim
from torch import nn

from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.semantics.number import Reference

B, T, H, W = (open_dim(name) for name in "BTHW")
OPEN = {3: (B, 4, T), 4: (B, 4, H, W), 5: (B, 4, T, H, W)}
SIZES = {"B": 2, "T": 7, "H": 12, "W": 9}


def sizes(layer: OneLayer) -> tuple[int, ...]:
    return tuple(map(Sizes(SIZES).of, layer.types[0].dims))


def random(*dims: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(dims, generator=torch.Generator().manual_seed(seed))


def known(dims: tuple[Dim, ...]) -> tuple[int, ...]:
    return tuple(SIZES[dim.name] if isinstance(dim, Reference) else dim for dim in dims)


def far(found: Any, expected: torch.Tensor) -> float:
    """The largest difference, as a part of the largest entry."""
    found = torch.as_tensor(np.asarray(found.detach() if isinstance(found, torch.Tensor) else found))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return float((found - expected).abs().max() / (expected.abs().max().clamp(min=1e-12)))


def module_of(word: str) -> type[nn.Module]:
    return getattr(nn, word)
