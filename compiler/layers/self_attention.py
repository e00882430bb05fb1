"""SelfAttention: each position looks at the others of its sequence."""

from __future__ import annotations

from typing import ClassVar

from ..semantics.number import Number, Operation, number, product
from ..semantics.tensor import Tensor
from .attention import check_sequence
from .projected_attention import ProjectedAttention


class SelfAttention(ProjectedAttention):
    """`SelfAttention(heads)` (Vaswani et al. 2017): [B, T, D] -> [B, T, D].

    Each head is softmax(q k^T * scale) v. The options are those of all attention:

    - `kv_heads` below `heads` shares keys and values between heads (Ainslie et al. 2023);
    - `causal` hides what comes later, `prefix` (a number, or int[B]) shows the keys before it all the same;
    - `window = w` sees `abs(q - k) < w`; `documents` (int[B, T]) see only their like; `mask` (bool[B, T] or
      [B, T, T]) is true where a key may be seen. What sees nothing at all gives zeros;
    - `rotary = base` turns queries and keys by their position (Su et al. 2021), halves, not neighbours;
      `alibi` takes what lies far away down, each head at a slope of its own (Press et al. 2022);
    - `scale` is head_dim ^ -0.5; `softcap = c` bounds scores, `c * tanh(score / c)`; `score` ([heads, T, T], or one
      such table for each example) is added to them, as `RelativeBias` gives it, or is a function of the file that makes
      new ones, `f(s, q, k, h, ...)` of the score, the places of query and key, and the head; what it takes besides is a
      number or has an entry for each head: `score = tilt(slope = Weight([heads]))`, a weight of the attention, `slope`;
    - `qk_norm = RMSNorm` or `LayerNorm` acts on each head's query and key, before rotary;
    - `dropout` acts on the probabilities; `bias` is that of the matrices, which are `q`, `k`, `v`, `o`.

    The order is scale, softcap, score, alibi, mask, softmax, dropout.
    """

    word: ClassVar[str] = "SelfAttention"
    title: ClassVar[str] = "self-attention"
    example: ClassVar[str] = "SelfAttention(4, causal = true)"

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        check_sequence(self.word, x)
        self.width_of_head(x)
        self.check_options(x)
        return (x,)

    def keys_from(self, x: Tensor) -> Tensor:
        return x

    def flops(self, x: Tensor) -> Number | None:
        batch, length, dim = x.dims
        widths = Operation("+", (self.query_width(x), self.key_width(x)))
        matrices = product([number(4), batch, length, dim, widths])
        return Operation("+", (matrices, self.pairs_flops(x, self.query_width(x), self.query_width(x))))
