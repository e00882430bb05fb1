"""The gradient of what is added to the scores of an attention, without atomics: a pass over the examples that share it.

Scores are computed again from `lse`, as for the other gradients; `delta` is sum(out * d_out) of each query.
"""

import triton
import triton.language as tl

from .attention_backward import weights_again
from .attention_scores import block_and_plane, kept, tile


@triton.jit
def meets(
    top, left, S, T, window, prefix, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, SHIFTED: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ONE_SIDED: tl.constexpr, PREFIX: tl.constexpr,
):  # fmt: skip
    """Whether some query from `top` on sees some key from `left` on, as far as their places tell."""
    lowest = top
    if SHIFTED:
        lowest = top + S - T
    seen = left < S
    if CAUSAL:
        earlier = left < lowest + BLOCK_M
        if PREFIX:
            earlier = earlier | (left < prefix)
        seen = seen & earlier
    if WINDOW:
        seen = seen & (left + BLOCK_N > lowest - window + 1)
        if not ONE_SIDED:
            seen = seen & (left < lowest + BLOCK_M - 1 + window)
    return seen


@triton.jit
def attention_backward_bias(
    q, k, v, d_out, lse, delta, d_bias, q_row, k_row, v_row, d_out_row, B, T, S, heads, scale,
    cap, slopes, bias, weights, window, prefix, prefixes, documents, mask, seeds, drop,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, STAGES: tl.constexpr, DESCRIBED: tl.constexpr,
    WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr, VALUE_PADDED: tl.constexpr,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ONE_SIDED: tl.constexpr, PREFIX: tl.constexpr,
    PREFIX_EACH: tl.constexpr, DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr,
    SOFTCAP: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr,
    DROPOUT: tl.constexpr,
):  # fmt: skip
    """A program has BLOCK_M queries and BLOCK_N keys of one head of d_bias, shaped as `bias`, and sums over examples
    in their order.
    """
    across = tl.cdiv(S, BLOCK_N)
    block, plane = block_and_plane(across * tl.cdiv(T, BLOCK_M))
    top = block // across * BLOCK_M
    left = block % across * BLOCK_N
    head = plane
    first = 0
    last = B
    if BIAS_EACH:
        first = plane // heads
        last = first + 1
        head = plane % heads
    if PREFIX_EACH:
        # A key that the longest prefix shows is seen in some example.
        prefix = S
    if CAUSAL or WINDOW:
        # What nobody sees is zeros.
        seen = meets(top, left, S, T, window, prefix, BLOCK_M, BLOCK_N, SHIFTED, CAUSAL, WINDOW, ONE_SIDED, PREFIX)
        last = tl.where(seen, last, first)
    kv_head = head // GROUP
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    key = left + tl.arange(0, BLOCK_N)[None, :]
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for batch in tl.range(first, last, num_stages=STAGES):
        shown = prefix
        if PREFIX_EACH:
            shown = tl.load(prefixes + batch)
        end = (batch + 1) * T
        key_end = (batch + 1) * S
        queries = tile(q, batch * T + top, head, end, q_row, BLOCK_M, WIDTH, PADDED, DESCRIBED, False)
        changes = tile(
            d_out, batch * T + top, head, end, d_out_row, BLOCK_M, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, False
        )  # fmt: skip
        keys = tile(k, batch * S + left, kv_head, key_end, k_row, BLOCK_N, WIDTH, PADDED, DESCRIBED, False)
        values = tile(
            v, batch * S + left, kv_head, key_end, v_row, BLOCK_N, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, False
        )  # fmt: skip
        at = (batch * heads + head) * T + rows
        ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
        deltas = tl.load(delta + at, mask=rows < T, other=0.0)
        dots = tl.dot(queries, keys.T, input_precision="ieee")
        p, _ = weights_again(
            dots, ends[:, None], query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads, window, shown,
            documents, mask, True, SHIFTED, CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK, SOFTCAP, SCORE,
            BIAS, BIAS_EACH, ALIBI,
        )  # fmt: skip
        d_p = tl.dot(changes, values.T, input_precision="ieee")
        if DROPOUT:
            keep = kept(seed, query, key, batch * heads + head, T, drop)
            d_p = tl.where(keep, d_p * (1.0 / (1.0 - drop)), 0.0)
        total += p * (d_p - deltas[:, None])
    at = d_bias + (plane.to(tl.int64) * T + query) * S + key
    tl.store(at, total.to(d_bias.dtype.element_ty), mask=(query < T) & (key < S))
