"""Attention, backward, without atomics: one pass over the queries for keys and values, one over the keys for queries.

Scores are computed again from `lse`; each gradient is summed by one program in a fixed order, so that it is the same
in every run. `delta` is sum(out * d_out) of each query, `attention_delta` computes it. Rows of the gradients lie
`d_q_row` apart, and those of keys and values `d_k_row`: all three may be parts of the same rows.
"""

import triton
import triton.language as tl

from .attention_scores import (
    LOG2_E,
    block_and_plane,
    kept,
    keys_seen,
    modified,
    score_by_s,
    score_by_weights,
    tile,
    visible,
)


@triton.jit
def attention_delta(
    out, d_out, delta, T, heads, BLOCK_M: tl.constexpr, VALUE_WIDTH: tl.constexpr, VALUE_PADDED: tl.constexpr
):  # fmt: skip
    """out, d_out [B, T, heads, VALUE_WIDTH]; delta [B, heads, T]."""
    block, plane = block_and_plane(tl.cdiv(T, BLOCK_M))
    batch = plane // heads
    head = plane % heads
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, VALUE_PADDED)[None, :]
    at = ((batch * T + rows[:, None]).to(tl.int64) * heads + head) * VALUE_WIDTH + columns
    inside = (rows[:, None] < T) & (columns < VALUE_WIDTH)
    products = tl.load(out + at, mask=inside, other=0.0).to(tl.float32)
    products = products * tl.load(d_out + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(delta + (batch * heads + head) * T + rows, tl.sum(products, 1), mask=rows < T)


@triton.jit
def weights_again(
    dots, ends, query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads, window, prefix,
    documents, mask, MASKED: tl.constexpr, SHIFTED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
    PREFIX: tl.constexpr, DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr,
    SOFTCAP: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr,
):  # fmt: skip
    """The weights that the softmax made of `dots`, q k^T. `ends` is lse, shaped to spread over it."""
    if SOFTCAP or SCORE or BIAS or ALIBI:
        s, capped = modified(
            dots, query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads,
            SHIFTED, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI,
        )  # fmt: skip
        p = tl.math.exp2(s * LOG2_E - ends)
    else:
        capped = dots
        p = tl.math.exp2(dots * (scale * LOG2_E) - ends)
    if MASKED:
        seen = visible(
            query, key, batch, T, S, window, prefix, documents, mask,
            CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK, SHIFTED,
        )  # fmt: skip
        p = tl.where(seen, p, 0.0)
    return p, capped


@triton.jit
def by_dots(
    change, capped, query, key, head, T, S, cap, weights, heads,
    MASKED: tl.constexpr, SHIFTED: tl.constexpr, SOFTCAP: tl.constexpr, SCORE: tl.constexpr,
):  # fmt: skip
    """The gradient by q k^T, but for `scale`, from that by the score."""
    if SCORE:
        if SHIFTED:
            position = query + S - T
        else:
            position = query
        steep = change * score_by_s(capped, position, key, head, weights, heads)
        if MASKED:
            # Where nothing is seen there is no score, and no slope of it need be a number.
            change = tl.where(change == 0.0, 0.0, steep)
        else:
            change = steep
    if SOFTCAP:
        change = change * (1.0 - (capped / cap) * (capped / cap))
    return change


@triton.jit
def over_queries(
    d_k, d_v, keys, values, q, d_out, lse, delta, q_row, d_out_row, batch, head, key, first, last, T, S, scale,
    cap, slope, bias, weights, heads, window, prefix, documents, mask, seed, drop,
    BLOCK_M: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr,
    VALUE_PADDED: tl.constexpr, DESCRIBED: tl.constexpr, STAGES: tl.constexpr,
    MASKED: tl.constexpr, SHIFTED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PREFIX: tl.constexpr,
    DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr, SOFTCAP: tl.constexpr,
    SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr, DROPOUT: tl.constexpr,
):  # fmt: skip
    """Goes on from query `first` to `last` with the gradients of keys and values. Scores lie on their side: [N, M]."""
    for start in tl.range(first, last, BLOCK_M, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_M)
        end = (batch + 1) * T
        rows = start + tl.arange(0, BLOCK_M)
        query = rows[None, :]
        at = (batch * heads + head) * T + rows
        queries = tile(q, batch * T + start, head, end, q_row, BLOCK_M, WIDTH, PADDED, DESCRIBED, not MASKED)
        changes = tile(
            d_out, batch * T + start, head, end, d_out_row, BLOCK_M, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, not MASKED
        )  # fmt: skip
        if MASKED:
            ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
            deltas = tl.load(delta + at, mask=rows < T, other=0.0)
        else:
            ends = tl.load(lse + at)
            deltas = tl.load(delta + at)
        dots = tl.dot(keys, queries.T, input_precision="ieee")
        p, capped = weights_again(
            dots, ends[None, :], query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads,
            window, prefix, documents, mask, MASKED, SHIFTED, CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK,
            SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI,
        )  # fmt: skip
        d_p = tl.dot(values, changes.T, input_precision="ieee")
        if DROPOUT:
            keep = kept(seed, query, key, batch * heads + head, T, drop)
            dropped = tl.where(keep, p * (1.0 / (1.0 - drop)), 0.0)
            d_p = tl.where(keep, d_p * (1.0 / (1.0 - drop)), 0.0)
        else:
            dropped = p
        d_v = tl.dot(dropped.to(changes.dtype), changes, d_v, input_precision="ieee")
        change = by_dots(
            p * (d_p - deltas[None, :]), capped, query, key, head, T, S, cap, weights, heads,
            MASKED, SHIFTED, SOFTCAP, SCORE,
        )  # fmt: skip
        d_k = tl.dot(change.to(queries.dtype), queries, d_k, input_precision="ieee")
    return d_k, d_v


@triton.jit
def attention_backward_keys(
    q, k, v, d_out, lse, delta, d_k_out, d_v_out, q_row, k_row, v_row, d_out_row, d_k_row, T, S, heads, scale,
    cap, slopes, bias, weights, window, prefix, prefixes, documents, spans, mask, seeds, drop,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, STAGES: tl.constexpr, DESCRIBED: tl.constexpr, RAGGED: tl.constexpr,
    WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr, VALUE_PADDED: tl.constexpr,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ONE_SIDED: tl.constexpr, PREFIX: tl.constexpr,
    PREFIX_EACH: tl.constexpr, DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr,
    SOFTCAP: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr,
    DROPOUT: tl.constexpr,
):  # fmt: skip
    """A program has BLOCK_N keys of one head and walks over the queries that see them."""
    blocks = tl.cdiv(S, BLOCK_N)
    block, plane = block_and_plane(blocks)
    kv_heads = heads // GROUP
    batch = plane // kv_heads
    kv_head = plane % kv_heads
    top = block * BLOCK_N
    columns = top + tl.arange(0, BLOCK_N)
    key = columns[:, None]
    end = (batch + 1) * S
    keys = tile(k, batch * S + top, kv_head, end, k_row, BLOCK_N, WIDTH, PADDED, DESCRIBED, False)
    values = tile(v, batch * S + top, kv_head, end, v_row, BLOCK_N, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, False)
    d_k = tl.zeros([BLOCK_N, PADDED], tl.float32)
    d_v = tl.zeros([BLOCK_N, VALUE_PADDED], tl.float32)
    if PREFIX_EACH:
        prefix = tl.load(prefixes + batch)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)

    lowest = top
    if SHIFTED:
        lowest = top - (S - T)
    first = 0
    last = T
    whole = 0
    whole_end = T
    if CAUSAL:
        first = lowest
        whole = lowest + BLOCK_N - 1
        if PREFIX:
            first = tl.where(top < prefix, 0, first)
            whole = tl.where(top + BLOCK_N <= prefix, 0, whole)
    if WINDOW:
        last = tl.minimum(last, lowest + BLOCK_N - 1 + window)
        whole_end = tl.minimum(whole_end, lowest + window)
        if not ONE_SIDED:
            first = tl.maximum(first, lowest - window + 1)
            whole = tl.maximum(whole, lowest + BLOCK_N - window)
    if DOCUMENTS:
        # `spans` [B, blocks, 2] has the first and the last query of the documents in each block.
        at = spans + (batch * blocks + block) * 2
        first = tl.maximum(first, tl.load(at))
        last = tl.minimum(last, tl.load(at + 1))
    # Queries from `first` on may see these keys, and those from `whole` to `whole_end` see all of them.
    first = tl.maximum(first, 0) // BLOCK_M * BLOCK_M
    if DOCUMENTS or KEY_MASK or PAIR_MASK:
        whole = tl.maximum(first, last)
        whole_end = whole
    else:
        whole = tl.maximum(first, tl.cdiv(whole, BLOCK_M) * BLOCK_M)
        whole_end = tl.maximum(whole, whole_end // BLOCK_M * BLOCK_M)

    for member in range(GROUP):
        head = kv_head * GROUP + member
        slope = 0.0
        if ALIBI:
            slope = tl.load(slopes + head)
        if CAUSAL or WINDOW or DOCUMENTS or KEY_MASK or PAIR_MASK or RAGGED:
            d_k, d_v = over_queries(
                d_k, d_v, keys, values, q, d_out, lse, delta, q_row, d_out_row, batch, head, key, first,
                tl.minimum(whole, last), T, S, scale, cap, slope, bias, weights, heads, window, prefix,
                documents, mask, seed, drop, BLOCK_M, WIDTH, PADDED,
                VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, True, SHIFTED, CAUSAL, WINDOW,
                PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT,
            )  # fmt: skip
        if not (DOCUMENTS or KEY_MASK or PAIR_MASK):
            d_k, d_v = over_queries(
                d_k, d_v, keys, values, q, d_out, lse, delta, q_row, d_out_row, batch, head, key, whole,
                tl.minimum(whole_end, last), T, S, scale, cap, slope, bias, weights, heads, window,
                prefix, documents, mask, seed, drop, BLOCK_M, WIDTH, PADDED,
                VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, False, SHIFTED,
                CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT,
            )  # fmt: skip
            if WINDOW or RAGGED:
                d_k, d_v = over_queries(
                    d_k, d_v, keys, values, q, d_out, lse, delta, q_row, d_out_row, batch, head, key, whole_end,
                    last, T, S, scale, cap, slope, bias, weights, heads, window, prefix, documents, mask,
                    seed, drop, BLOCK_M, WIDTH, PADDED,
                    VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, True, SHIFTED, CAUSAL, WINDOW, PREFIX,
                    DOCUMENTS, KEY_MASK, PAIR_MASK, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT,
                )  # fmt: skip

    columns_of_head = tl.arange(0, PADDED)[None, :]
    at = (batch * S + key).to(tl.int64) * d_k_row + kv_head * WIDTH + columns_of_head
    inside = (key < S) & (columns_of_head < WIDTH)
    tl.store(d_k_out + at, (d_k * scale).to(d_k_out.dtype.element_ty), mask=inside)
    if VALUE_WIDTH != WIDTH:
        # Rows that are not parts of others.
        columns_of_value = tl.arange(0, VALUE_PADDED)[None, :]
        at = ((batch * S + key).to(tl.int64) * kv_heads + kv_head) * VALUE_WIDTH + columns_of_value
        inside = (key < S) & (columns_of_value < VALUE_WIDTH)
    tl.store(d_v_out + at, d_v.to(d_v_out.dtype.element_ty), mask=inside)


@triton.jit
def over_keys_again(
    d_q, d_weight, queries, changes, ends, deltas, k, v, k_row, v_row, batch, head, kv_head, query, first, last, T, S,
    scale, cap, slope, bias, weights, heads, window, prefix, documents, mask, seed, drop,
    BLOCK_N: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr,
    VALUE_PADDED: tl.constexpr, DESCRIBED: tl.constexpr, STAGES: tl.constexpr,
    MASKED: tl.constexpr, SHIFTED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PREFIX: tl.constexpr,
    DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr, SOFTCAP: tl.constexpr,
    SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr, DROPOUT: tl.constexpr,
    LEARNED: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Goes on from key `first` to `last` with the gradient of the queries."""
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        end = (batch + 1) * S
        key = start + tl.arange(0, BLOCK_N)[None, :]
        keys = tile(k, batch * S + start, kv_head, end, k_row, BLOCK_N, WIDTH, PADDED, DESCRIBED, not MASKED)
        values = tile(
            v, batch * S + start, kv_head, end, v_row, BLOCK_N, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, not MASKED
        )  # fmt: skip
        dots = tl.dot(queries, keys.T, input_precision="ieee")
        p, capped = weights_again(
            dots, ends[:, None], query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads,
            window, prefix, documents, mask, MASKED, SHIFTED, CAUSAL, WINDOW, PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK,
            SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI,
        )  # fmt: skip
        d_p = tl.dot(changes, values.T, input_precision="ieee")
        if DROPOUT:
            keep = kept(seed, query, key, batch * heads + head, T, drop)
            d_p = tl.where(keep, d_p * (1.0 / (1.0 - drop)), 0.0)
        change = p * (d_p - deltas[:, None])
        if LEARNED:
            if SHIFTED:
                position = query + S - T
            else:
                position = query
            # The weights of the score's own function have a gradient, too.
            d_weight += score_by_weights(change, capped, position, key, head, weights, heads, LANES)
        change = by_dots(change, capped, query, key, head, T, S, cap, weights, heads, MASKED, SHIFTED, SOFTCAP, SCORE)
        d_q = tl.dot(change.to(keys.dtype), keys, d_q, input_precision="ieee")
    return d_q, d_weight


@triton.jit
def attention_backward_queries(
    q, k, v, d_out, lse, delta, d_q_out, d_weights, q_row, k_row, v_row, d_out_row, d_q_row, T, S, heads, scale,
    cap, slopes, bias, weights, window, prefix, prefixes, documents, spans, mask, seeds, drop,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, STAGES: tl.constexpr, DESCRIBED: tl.constexpr, RAGGED: tl.constexpr,
    WIDTH: tl.constexpr, PADDED: tl.constexpr, VALUE_WIDTH: tl.constexpr, VALUE_PADDED: tl.constexpr,
    GROUP: tl.constexpr, SHIFTED: tl.constexpr,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ONE_SIDED: tl.constexpr, PREFIX: tl.constexpr,
    PREFIX_EACH: tl.constexpr, DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr,
    SOFTCAP: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr, ALIBI: tl.constexpr,
    DROPOUT: tl.constexpr, LEARNED: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """A program has BLOCK_M queries of one head and walks over the keys that they see, as forward does."""
    blocks = tl.cdiv(T, BLOCK_M)
    block, plane = block_and_plane(blocks)
    if CAUSAL:
        block = blocks - 1 - block
    batch = plane // heads
    head = plane % heads
    kv_head = head // GROUP
    top = block * BLOCK_M
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    end = (batch + 1) * T
    queries = tile(q, batch * T + top, head, end, q_row, BLOCK_M, WIDTH, PADDED, DESCRIBED, False)
    changes = tile(d_out, batch * T + top, head, end, d_out_row, BLOCK_M, VALUE_WIDTH, VALUE_PADDED, DESCRIBED, False)
    at = (batch * heads + head) * T + rows
    ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
    deltas = tl.load(delta + at, mask=rows < T, other=0.0)
    d_q = tl.zeros([BLOCK_M, PADDED], tl.float32)
    d_weight = 0.0
    if LEARNED:
        d_weight = tl.zeros([LANES], tl.float32)
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
            d_q, d_weight = over_keys_again(
                d_q, d_weight, queries, changes, ends, deltas, k, v, k_row, v_row, batch, head, kv_head, query, first,
                tl.minimum(whole, last), T, S, scale, cap, slope, bias, weights, heads, window, prefix,
                documents, mask, seed, drop, BLOCK_N, WIDTH, PADDED,
                VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, True, SHIFTED, CAUSAL, WINDOW,
                PREFIX, DOCUMENTS, KEY_MASK, PAIR_MASK, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT, LEARNED, LANES,
            )  # fmt: skip
        d_q, d_weight = over_keys_again(
            d_q, d_weight, queries, changes, ends, deltas, k, v, k_row, v_row, batch, head, kv_head, query, whole,
            whole_end, T, S, scale, cap, slope, bias, weights, heads, window, prefix, documents, mask,
            seed, drop, BLOCK_N, WIDTH, PADDED,
            VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, False, SHIFTED, CAUSAL, WINDOW, PREFIX, DOCUMENTS,
            KEY_MASK, PAIR_MASK, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT, LEARNED, LANES,
        )  # fmt: skip
    if CAUSAL or WINDOW or DOCUMENTS or KEY_MASK or PAIR_MASK or RAGGED:
        d_q, d_weight = over_keys_again(
            d_q, d_weight, queries, changes, ends, deltas, k, v, k_row, v_row, batch, head, kv_head, query, whole_end,
            last, T, S, scale, cap, slope, bias, weights, heads, window, prefix, documents, mask,
            seed, drop, BLOCK_N, WIDTH, PADDED,
            VALUE_WIDTH, VALUE_PADDED, DESCRIBED, STAGES, True, SHIFTED, CAUSAL, WINDOW, PREFIX, DOCUMENTS,
            KEY_MASK, PAIR_MASK, SOFTCAP, SCORE, BIAS, BIAS_EACH, ALIBI, DROPOUT, LEARNED, LANES,
        )  # fmt: skip

    columns = tl.arange(0, PADDED)[None, :]
    at = d_q_out + (batch * T + query).to(tl.int64) * d_q_row + head * WIDTH + columns
    tl.store(at, (d_q * scale).to(d_q_out.dtype.element_ty), mask=(query < T) & (columns < WIDTH))
    if LEARNED:
        # One share of the gradient a program, [B, heads, blocks, LANES], for the launcher to sum.
        at = (plane * blocks + block) * LANES + tl.arange(0, LANES)
        tl.store(d_weights + at, d_weight)
