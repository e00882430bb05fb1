"""Rotary embedding of queries and keys."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..use import Use
from .base import Kind, bytes_of


class Rotary(Kind):
    """q [B, T, heads, width], k [B, S, kv_heads, width], and tables with a row for each position that there may be."""

    def forward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """Of the tables only the rows that there are."""
        q, k, cos, sin = (use.tensors[name] for name in ("q", "k", "cos", "sin"))
        longest = max(q.shape[1], k.shape[1])
        return bytes_of([q, k, cos[:longest], sin[:longest], *outputs])

    def backward_work(self, use: Use, outputs: Sequence[Tensor]) -> int:
        """A gradient is turned back, and what was turned is not read."""
        return self.forward_work(use, outputs)


KIND = Rotary()
