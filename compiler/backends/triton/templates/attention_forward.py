"""Attention, forward: softmax(q k^T) v in one pass over the keys (Dao 2023; Milakov and Gimelshein 2018).

A program has BLOCK_M queries of one head and walks over the keys that they see, BLOCK_N at a time; keys that none of
them sees are never read, and only tiles where some see and some do not are masked. For the backward pass it leaves
log2(sum(exp(score))) of each query, in `lse`; of one that sees no key, infinity.
"""

import triton
import triton.language as tl

from .attention_scores import LOG2_E, block_and_plane, kept, keys_seen, modified, tile, visible


@triton.jit
def over_keys(
    sums, total, highest, queries, k, v, k_row, v_row, batch, head, kv_head, query, first, last, T, S, scale,
    cap, slope, bias, weights, heads, window, prefix, documents, mask, seed, drop,
    BLOCK_N: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr,
    VALUE_PADDED: tl.constexpr, DESCRIBED: tl.constexpr, STAGES: tl.constexpr,
    MASKED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PREFIX: tl.constexpr, DOCUMENTS: tl.constexpr,
    KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr, SHIFTED: tl.constexpr, SOFTCAP: tl.constexpr,
    SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr, DROPOUT: tl.constexpr,
):  # fmt: skip
    """Goes on from key `first` to `last`: sums of values, sums of weights and the highest score of each query."""
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        end = (batch + 1) * S
        keys = tile(k, batch * S + start, kv_head, end, k_row, BLOCK_N, WIDTH, PADDED, DESCRIBED, not MASKED)
        s = tl.dot(queries, keys.T, input_precision="ieee")
        key = start + tl.arange(0, BLOCK_N)[None, :]
        if SOFTCAP or SCORE or BIAS or ALIBI:
            s, _ = modified(
                s, query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads,
                SHIFTED, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI,
            )  # fmt: skip
            factor = LOG2_E
        else:
            factor = scale * LOG2_E
        if MASKED:
            seen = visible(
                query, key, batch, T, S, window, prefix, documents, mask,
                CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK, SHIFTED,
            )  # fmt: skip
            s = tl.where(seen, s, float("-inf"))
        higher = tl.maximum(highest, tl.max(s, 1) * factor)
        if SHIFTED or WINDOW or DOCUMENTS or KEY_MASK or PAIR_MASK or BIAS:
            # Where a query has seen nothing yet, the difference of two infinities would be NaN.
            base = tl.where(higher == float("-inf"), 0.0, higher)
        else:
            base = higher
        p = tl.math.exp2(s * factor - base[:, None])
        shrink = tl.math.exp2(highest - base)
        total = total * shrink + tl.sum(p, 1)
        if DROPOUT:
            p = tl.where(kept(seed, query, key, batch * heads + head, T, drop), p, 0.0)
        sums = sums * shrink[:, None]
        values = tile(
            v, batch * S + start, kv_head, end, v_row, BLOCK_N, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, not MASKED
        )  # fmt: skip
        sums = tl.dot(p.to(values.dtype), values, sums, input_precision="ieee")
        highest = higher
    return sums, total, highest


@triton.jit
def attention_forward(
    q, k, v, out, lse, q_row, k_row, v_row, T, S, heads, scale,
    cap, slopes, bias, weights, window, prefix, prefixes, documents, spans, mask, seeds, drop,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, STAGES: tl.constexpr, DESCRIBED: tl.constexpr, RAGGED: tl.constexpr,
    WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr, VALUE_PADDED: tl.constexpr,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ONE_SIDED: tl.constexpr, PREFIX: tl.constexpr,
    PREFIX_EACH: tl.constexpr, DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr,
    SOFTCAP: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr,
    DROPOUT: tl.constexpr,
):  # fmt: skip
    """q [B, T, heads, WIDTH], k [B, S, kv_heads, WIDTH]; out and v likewise, VALUE_WIDTH wide; lse [B, heads, T]."""
    blocks = tl.cdiv(T, BLOCK_M)
    block, plane = block_and_plane(blocks)
    if CAUSAL:
        # The longest rows first: what is short fills the gaps at the end.
        block = blocks - 1 - block
    batch = plane // heads
    head = plane % heads
    kv_head = head // GROUP
    top = block * BLOCK_M
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    queries = tile(q, batch * T + top, head, (batch + 1) * T, q_row, BLOCK_M, WIDTH, PADDED, DESCRIBED, False)
    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    sums = tl.zeros([BLOCK_M, VALUE_PADDED], tl.float32)
    if PREFIX_EACH:
        prefix = tl.load(prefixes + batch)
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)

    first, whole, whole_end, last = keys_seen(
        top, batch, T, S, window, prefix, spans, BLOCK_M, BLOCK_N,
        SHIFTED, CAUSAL, WINDOW, ONE_SIDED, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK,
    )  # fmt: skip
    if not (DOCUMENTS or KEY_MASK or PAIR_MASK):
        if WINDOW:
            sums, total, highest = over_keys(
                sums, total, highest, queries, k, v, k_row, v_row, batch, head, kv_head, query, first,
                tl.minimum(whole, last), T, S, scale, cap, slope, bias, weights, heads, window, prefix,
                documents, mask, seed, drop, BLOCK_N, WIDTH, PADDED,
                VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, True, CAUSAL, WINDOW, PREFIX,
                DOCUMENTS, KEY_MASK, PAIR_MASK, SHIFTED, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT,
            )  # fmt: skip
        sums, total, highest = over_keys(
            sums, total, highest, queries, k, v, k_row, v_row, batch, head, kv_head, query, whole, whole_end, T, S,
            scale, cap, slope, bias, weights, heads, window, prefix, documents, mask, seed, drop,
            BLOCK_N, WIDTH, PADDED,
            VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, False, CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK,
            SHIFTED, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT,
        )  # fmt: skip
    if CAUSAL or WINDOW or DOCUMENTS or KEY_MASK or PAIR_MASK or RAGGED:
        sums, total, highest = over_keys(
            sums, total, highest, queries, k, v, k_row, v_row, batch, head, kv_head, query, whole_end, last, T, S,
            scale, cap, slope, bias, weights, heads, window, prefix, documents, mask, seed, drop,
            BLOCK_N, WIDTH, PADDED,
            VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, True, CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK,
            SHIFTED, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT,
        )  # fmt: skip

    if DROPOUT:
        sums = sums * (1.0 / (1.0 - drop))
    if SHIFTED or WINDOW or DOCUMENTS or KEY_MASK or PAIR_MASK or BIAS:
        # A query that sees no key gets zeros; with infinity as its end every weight is 0 in the backward pass.
        total = tl.where(highest == float("-inf"), 1.0, total)
        ends = tl.where(highest == float("-inf"), float("inf"), highest + tl.math.log2(total))
    else:
        ends = highest + tl.math.log2(total)
    sums = sums / total[:, None]
    columns = tl.arange(0, VALUE_PADDED)[None, :]
    at = out + ((batch * T + query).to(tl.int64) * heads + head) * VALUE_WIDTH + columns
    tl.store(at, sums.to(out.dtype.element_ty), mask=(query < T) & (columns < VALUE_WIDTH))
    tl.store(lse + (batch * heads + head) * T + rows, ends, mask=rows < T)
