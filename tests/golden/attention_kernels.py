import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
"""Exponentials are taken to the base of two, the hardware's own."""
WIDTH = tl.constexpr(64)
PADDED = tl.constexpr(64)


@triton.jit
def block_and_plane(blocks):
    """Which block a program has, and of which head of all the batch's: a launch has
    65,535 programs at most along any of its axes but the first, which has them all
    here.
    """
    program = tl.program_id(0)
    return program % blocks, program // blocks


@triton.jit
def tile(source, first, head, end, row, ROWS: tl.constexpr, INSIDE: tl.constexpr):
    """[ROWS, PADDED] of one head from row `first` on.

    `source` is [rows, heads * WIDTH], PADDED the power of two that WIDTH fits in.
    """
    # Rows lie `row` apart.
    rows = tl.arange(0, ROWS)
    columns = tl.arange(0, PADDED)
    at = (
        source
        + first.to(tl.int64) * row
        + head * WIDTH
        + rows[:, None] * row
        + columns[None, :]
    )
    if INSIDE:
        # The caller knows that no row reaches `end`.
        return tl.load(at)
    else:
        return tl.load(at, mask=rows[:, None] < end - first, other=0.0)


@triton.jit
def keys_seen(top, S, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """Where a tile of queries looks: from where to where all of them see all, and
    where some see some.
    """
    last = tl.minimum(S, top + BLOCK_M)
    whole_end = tl.minimum(S, top + 1)
    whole = 0
    whole_end = tl.maximum(whole, whole_end // BLOCK_N * BLOCK_N)
    return whole, whole_end, last


@triton.jit
def visible(query, key, S):
    """Which keys a query may see."""
    seen = key < S
    earlier = key <= query
    seen = seen & earlier
    return seen


# Attention, forward: softmax(q k^T) v in one pass over the keys (Dao 2023; Milakov and
# Gimelshein 2018).
#
# A program has BLOCK_M queries of one head and walks over the keys that they see,
# BLOCK_N at a time; keys that none of them sees are never read, and only tiles where
# some see and some do not are masked. For the backward pass it leaves
# log2(sum(exp(score))) of each query, in `lse`; of one that sees no key, infinity.


@triton.jit
def over_keys(
    sums,
    total,
    highest,
    queries,
    k,
    v,
    k_row,
    v_row,
    batch,
    kv_head,
    query,
    first,
    last,
    S,
    scale,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    MASKED: tl.constexpr,
):
    """Goes on from key `first` to `last`: sums of values, sums of weights and the
    highest score of each query.
    """
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        end = (batch + 1) * S
        keys = tile(k, batch * S + start, kv_head, end, k_row, BLOCK_N, not MASKED)
        s = tl.dot(queries, keys.T, input_precision="ieee")
        key = start + tl.arange(0, BLOCK_N)[None, :]
        factor = scale * LOG2_E
        if MASKED:
            seen = visible(query, key, S)
            s = tl.where(seen, s, float("-inf"))
        higher = tl.maximum(highest, tl.max(s, 1) * factor)
        p = tl.math.exp2(s * factor - higher[:, None])
        shrink = tl.math.exp2(highest - higher)
        total = total * shrink + tl.sum(p, 1)
        sums = sums * shrink[:, None]
        values = tile(v, batch * S + start, kv_head, end, v_row, BLOCK_N, not MASKED)
        sums = tl.dot(p.to(values.dtype), values, sums, input_precision="ieee")
        highest = higher
    return sums, total, highest


@triton.jit
def attention_forward(
    q,
    k,
    v,
    out,
    lse,
    q_row,
    k_row,
    v_row,
    T,
    S,
    heads,
    scale,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
):
    """q [B, T, heads, WIDTH], k [B, S, kv_heads, WIDTH]; out and v likewise, WIDTH
    wide; lse [B, heads, T].
    """
    blocks = tl.cdiv(T, BLOCK_M)
    block, plane = block_and_plane(blocks)
    # The longest rows first: what is short fills the gaps at the end.
    block = blocks - 1 - block
    batch = plane // heads
    head = plane % heads
    top = block * BLOCK_M
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    queries = tile(q, batch * T + top, head, (batch + 1) * T, q_row, BLOCK_M, False)
    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    sums = tl.zeros([BLOCK_M, PADDED], tl.float32)

    whole, whole_end, last = keys_seen(top, S, BLOCK_M, BLOCK_N)
    sums, total, highest = over_keys(
        sums,
        total,
        highest,
        queries,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        query,
        whole,
        whole_end,
        S,
        scale,
        BLOCK_N,
        STAGES,
        False,
    )
    sums, total, highest = over_keys(
        sums,
        total,
        highest,
        queries,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        query,
        whole_end,
        last,
        S,
        scale,
        BLOCK_N,
        STAGES,
        True,
    )
    ends = highest + tl.math.log2(total)
    sums = sums / total[:, None]
    columns = tl.arange(0, PADDED)[None, :]
    at = out + ((batch * T + query).to(tl.int64) * heads + head) * WIDTH + columns
    tl.store(at, sums.to(out.dtype.element_ty), mask=(query < T) & (columns < WIDTH))
    tl.store(lse + (batch * heads + head) * T + rows, ends, mask=rows < T)


# Attention, backward, without atomics: one pass over the queries for keys and values,
# one over the keys for queries.
#
# Scores are computed again from `lse`; each gradient is summed by one program in a
# fixed order, so that it is the same in every run. `delta` is sum(out * d_out) of each
# query, `attention_delta` computes it. Rows of the gradients lie `d_q_row` apart, and
# those of keys and values `d_k_row`: all three may be parts of the same rows.


@triton.jit
def attention_delta(out, d_out, delta, T, heads, BLOCK_M: tl.constexpr):
    """out, d_out [B, T, heads, WIDTH]; delta [B, heads, T]."""
    block, plane = block_and_plane(tl.cdiv(T, BLOCK_M))
    batch = plane // heads
    head = plane % heads
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, PADDED)[None, :]
    at = ((batch * T + rows[:, None]).to(tl.int64) * heads + head) * WIDTH + columns
    inside = (rows[:, None] < T) & (columns < WIDTH)
    products = tl.load(out + at, mask=inside, other=0.0).to(tl.float32)
    products = products * tl.load(d_out + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(
        delta + (batch * heads + head) * T + rows, tl.sum(products, 1), mask=rows < T
    )


@triton.jit
def weights_again(dots, ends, query, key, S, scale, MASKED: tl.constexpr):
    """The weights that the softmax made of `dots`, q k^T. `ends` is lse, shaped to
    spread over it.
    """
    p = tl.math.exp2(dots * (scale * LOG2_E) - ends)
    if MASKED:
        seen = visible(query, key, S)
        p = tl.where(seen, p, 0.0)
    return p


@triton.jit
def over_queries(
    d_k,
    d_v,
    keys,
    values,
    q,
    d_out,
    lse,
    delta,
    q_row,
    d_out_row,
    batch,
    head,
    key,
    first,
    last,
    T,
    S,
    scale,
    heads,
    BLOCK_M: tl.constexpr,
    STAGES: tl.constexpr,
    MASKED: tl.constexpr,
):
    """Goes on from query `first` to `last` with the gradients of keys and values.
    Scores lie on their side: [N, M].
    """
    for start in tl.range(first, last, BLOCK_M, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_M)
        end = (batch + 1) * T
        rows = start + tl.arange(0, BLOCK_M)
        query = rows[None, :]
        at = (batch * heads + head) * T + rows
        queries = tile(q, batch * T + start, head, end, q_row, BLOCK_M, not MASKED)
        changes = tile(
            d_out, batch * T + start, head, end, d_out_row, BLOCK_M, not MASKED
        )
        if MASKED:
            ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
            deltas = tl.load(delta + at, mask=rows < T, other=0.0)
        else:
            ends = tl.load(lse + at)
            deltas = tl.load(delta + at)
        dots = tl.dot(keys, queries.T, input_precision="ieee")
        p = weights_again(dots, ends[None, :], query, key, S, scale, MASKED)
        d_p = tl.dot(values, changes.T, input_precision="ieee")
        d_v = tl.dot(p.to(changes.dtype), changes, d_v, input_precision="ieee")
        change = p * (d_p - deltas[None, :])
        d_k = tl.dot(change.to(queries.dtype), queries, d_k, input_precision="ieee")
    return d_k, d_v


@triton.jit
def attention_backward_keys(
    q,
    k,
    v,
    d_out,
    lse,
    delta,
    d_k_out,
    d_v_out,
    q_row,
    k_row,
    v_row,
    d_out_row,
    d_k_row,
    T,
    S,
    heads,
    scale,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
):
    """A program has BLOCK_N keys of one head and walks over the queries that see
    them.
    """
    blocks = tl.cdiv(S, BLOCK_N)
    block, plane = block_and_plane(blocks)
    batch = plane // heads
    kv_head = plane % heads
    top = block * BLOCK_N
    columns = top + tl.arange(0, BLOCK_N)
    key = columns[:, None]
    end = (batch + 1) * S
    keys = tile(k, batch * S + top, kv_head, end, k_row, BLOCK_N, False)
    values = tile(v, batch * S + top, kv_head, end, v_row, BLOCK_N, False)
    d_k = tl.zeros([BLOCK_N, PADDED], tl.float32)
    d_v = tl.zeros([BLOCK_N, PADDED], tl.float32)

    whole = top + BLOCK_N - 1
    # Queries from `first` on may see these keys, and those from `whole` to `whole_end`
    # see all of them.
    first = tl.maximum(top, 0) // BLOCK_M * BLOCK_M
    whole = tl.maximum(first, tl.cdiv(whole, BLOCK_M) * BLOCK_M)
    whole_end = tl.maximum(whole, T // BLOCK_M * BLOCK_M)

    d_k, d_v = over_queries(
        d_k,
        d_v,
        keys,
        values,
        q,
        d_out,
        lse,
        delta,
        q_row,
        d_out_row,
        batch,
        kv_head,
        key,
        first,
        tl.minimum(whole, T),
        T,
        S,
        scale,
        heads,
        BLOCK_M,
        STAGES,
        True,
    )
    d_k, d_v = over_queries(
        d_k,
        d_v,
        keys,
        values,
        q,
        d_out,
        lse,
        delta,
        q_row,
        d_out_row,
        batch,
        kv_head,
        key,
        whole,
        tl.minimum(whole_end, T),
        T,
        S,
        scale,
        heads,
        BLOCK_M,
        STAGES,
        False,
    )

    columns_of_head = tl.arange(0, PADDED)[None, :]
    at = (batch * S + key).to(tl.int64) * d_k_row + kv_head * WIDTH + columns_of_head
    inside = (key < S) & (columns_of_head < WIDTH)
    tl.store(d_k_out + at, (d_k * scale).to(d_k_out.dtype.element_ty), mask=inside)
    tl.store(d_v_out + at, d_v.to(d_v_out.dtype.element_ty), mask=inside)


@triton.jit
def over_keys_again(
    d_q,
    queries,
    changes,
    ends,
    deltas,
    k,
    v,
    k_row,
    v_row,
    batch,
    kv_head,
    query,
    first,
    last,
    S,
    scale,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    MASKED: tl.constexpr,
):
    """Goes on from key `first` to `last` with the gradient of the queries."""
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        end = (batch + 1) * S
        key = start + tl.arange(0, BLOCK_N)[None, :]
        keys = tile(k, batch * S + start, kv_head, end, k_row, BLOCK_N, not MASKED)
        values = tile(v, batch * S + start, kv_head, end, v_row, BLOCK_N, not MASKED)
        dots = tl.dot(queries, keys.T, input_precision="ieee")
        p = weights_again(dots, ends[:, None], query, key, S, scale, MASKED)
        d_p = tl.dot(changes, values.T, input_precision="ieee")
        change = p * (d_p - deltas[:, None])
        d_q = tl.dot(change.to(keys.dtype), keys, d_q, input_precision="ieee")
    return d_q


@triton.jit
def attention_backward_queries(
    q,
    k,
    v,
    d_out,
    lse,
    delta,
    d_q_out,
    q_row,
    k_row,
    v_row,
    d_out_row,
    d_q_row,
    T,
    S,
    heads,
    scale,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
):
    """A program has BLOCK_M queries of one head and walks over the keys that they
    see, as forward does.
    """
    blocks = tl.cdiv(T, BLOCK_M)
    block, plane = block_and_plane(blocks)
    block = blocks - 1 - block
    batch = plane // heads
    head = plane % heads
    top = block * BLOCK_M
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    end = (batch + 1) * T
    queries = tile(q, batch * T + top, head, end, q_row, BLOCK_M, False)
    changes = tile(d_out, batch * T + top, head, end, d_out_row, BLOCK_M, False)
    at = (batch * heads + head) * T + rows
    ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
    deltas = tl.load(delta + at, mask=rows < T, other=0.0)
    d_q = tl.zeros([BLOCK_M, PADDED], tl.float32)

    whole, whole_end, last = keys_seen(top, S, BLOCK_M, BLOCK_N)
    d_q = over_keys_again(
        d_q,
        queries,
        changes,
        ends,
        deltas,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        query,
        whole,
        whole_end,
        S,
        scale,
        BLOCK_N,
        STAGES,
        False,
    )
    d_q = over_keys_again(
        d_q,
        queries,
        changes,
        ends,
        deltas,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        query,
        whole_end,
        last,
        S,
        scale,
        BLOCK_N,
        STAGES,
        True,
    )

    columns = tl.arange(0, PADDED)[None, :]
    at = d_q_out + (batch * T + query).to(tl.int64) * d_q_row + head * WIDTH + columns
    tl.store(
        at,
        (d_q * scale).to(d_q_out.dtype.element_ty),
        mask=(query < T) & (columns < WIDTH),
    )
