"""CrossAttention: each position looks at another sequence."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.number import Number, Operation, equal, number, product
from ..semantics.tensor import Tensor
from .attention import check_batch, check_sequence
from .base import Code
from .options import SideInput
from .projected_attention import ProjectedAttention
from .side import Side


class CrossAttention(ProjectedAttention):
    """`CrossAttention(heads, memory = value)` (Vaswani et al. 2017): [B, T, D] with memory [B, S, M] -> [B, T, D].

    Queries come from what flows, keys and values from `memory`. The other options are those of `SelfAttention`:
    `mask` is bool[B, S] or [B, T, S], `score` is [heads, T, S]. Positions count from 0 in both sequences; with
    `causal` the last query stands at the last key, also where the lengths differ, for all options but `rotary`, which
    counts both from 0. `documents` needs sequences of the same length.
    """

    word: ClassVar[str] = "CrossAttention"
    title: ClassVar[str] = "cross-attention"
    example: ClassVar[str] = "CrossAttention(4, memory = m)"
    example_sides: ClassVar[dict[str, str]] = {"m": "[B, S, 24]"}

    memory: SideInput

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_sequence(self.word, x)
        check_sequence(self.word, self.memory.type, "is the memory", "memory")
        check_batch(self.word, x, self.memory.type, "memory")
        self.width_of_head(x)
        self.check_options(x)
        return (x,)

    @property
    def sequences(self) -> tuple[Side, ...]:
        return (self.memory,)

    def keys_from(self, x: Tensor) -> Tensor:
        return self.memory.type

    def widths(self, x: Tensor, code: Code) -> list[str]:
        width = self.memory.type.dims[-1]
        other = [] if equal(width, x.dims[-1]) else [f"memory_dim={code.number(width)}"]
        return [*super().widths(x, code), *other]

    def flops(self, x: Tensor) -> Number | None:
        batch, length, dim = x.dims
        _, others, width = self.memory.type.dims
        queries = product([number(4), batch, length, dim, self.query_width(x)])
        keys = product([number(4), batch, others, width, self.key_width(x)])
        pairs = self.pairs_flops(x, self.query_width(x), self.query_width(x))
        return Operation("+", (Operation("+", (queries, keys)), pairs))
