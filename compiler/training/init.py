"""How initial weights are drawn."""

from __future__ import annotations

from .base import Options


class Init(Options):
    """Weights of matrices, kernels and embeddings; biases are 0. Left out, all are drawn as PyTorch draws them."""
