"""Rotary embedding of queries and keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from ..liger import operation
from ..use import Use
from .base import Kind, Rival, bytes_of


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

    def rivals(self, use: Use, plain: Rival) -> Iterator[Rival]:
        apply = operation("rope", "LigerRopeFunction")
        if apply is None or use.values["q"].shape[1] != use.values["k"].shape[1]:
            return

        def run(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
            # It turns them where they are: it stands last.
            tables = cos[None, : q.shape[1]], sin[None, : q.shape[1]]
            q, k = apply(q.transpose(1, 2), k.transpose(1, 2), *tables, None, 1, q.shape[-1])
            return q.transpose(1, 2), k.transpose(1, 2)

        yield Rival("Liger-Kernel", run)


KIND = Rotary()
