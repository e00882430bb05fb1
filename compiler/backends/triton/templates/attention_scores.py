"""What the passes of an attention share: tiles, who sees whom, and how a score comes about.

`query` and `key` are the positions of a tile's rows and columns, shaped to spread over it: [M, 1] and [1, N] where
queries run down, [1, M] and [N, 1] where keys do. Scores are float32.
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
"""Exponentials are taken to the base of two, the hardware's own."""


@triton.jit
def block_and_plane(blocks):
    """Which block a program has, and of which head of all the batch's: a launch has 65,535 programs at most along any
    of its axes but the first, which has them all here.
    """
    program = tl.program_id(0)
    return program % blocks, program // blocks


@triton.jit
def tile(
    source, first, head, end, row, ROWS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr,
    DESCRIBED: tl.constexpr, INSIDE: tl.constexpr,
):  # fmt: skip
    """[ROWS, PADDED] of one head from row `first` on.

    `source` is [rows, heads * WIDTH], PADDED the power of two that WIDTH fits in.
    """
    if DESCRIBED:
        # `source` is a tensor descriptor; the rows of the next batch may come along, for the caller to mask.
        return source.load([first.to(tl.int32), head * WIDTH])
    else:
        # Rows lie `row` apart.
        rows = tl.arange(0, ROWS)
        columns = tl.arange(0, PADDED)
        at = source + first.to(tl.int64) * row + head * WIDTH + rows[:, None] * row + columns[None, :]
        if INSIDE:
            # The caller knows that no row reaches `end`.
            if WIDTH == PADDED:
                return tl.load(at)
            else:
                return tl.load(at, mask=columns[None, :] < WIDTH, other=0.0)
        else:
            if WIDTH == PADDED:
                return tl.load(at, mask=rows[:, None] < end - first, other=0.0)
            else:
                return tl.load(at, mask=(rows[:, None] < end - first) & (columns[None, :] < WIDTH), other=0.0)


@triton.jit
def tanh(x):
    """Triton has none that its interpreter runs, too."""
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit
def score(s, q, k, h, weights, heads):
    """The file's own function of a score, here that of ALiBi; `weights` [n, heads] are its weights by head."""
    slope = tl.load(weights + h).to(tl.float32)
    return s - slope * tl.abs(q - k).to(tl.float32)


@triton.jit
def score_by_s(s, q, k, h, weights, heads):
    """Its derivative by `s`."""
    return 1.0


@triton.jit
def score_by_weights(change, s, q, k, h, weights, heads, LANES: tl.constexpr):
    """What a tile adds to the gradient of each weight, [LANES], where `change` is the gradient by the score."""
    lane = tl.arange(0, LANES)
    by_slope = tl.sum(change * -tl.abs(q - k).to(tl.float32))
    return tl.where(lane == 0, by_slope, 0.0)


@triton.jit
def modified(
    dots, query, key, batch, head, T, S, scale, cap, slope, bias, weights, heads,
    SHIFTED: tl.constexpr, SOFTCAP: tl.constexpr, SCORE: tl.constexpr, BIAS: tl.constexpr, BIAS_EACH: tl.constexpr,
    ALIBI: tl.constexpr,
):  # fmt: skip
    """The scores of `dots`, q k^T, and what a derivative of them starts from."""
    s = dots * scale
    if SOFTCAP:
        s = cap * tanh(s / cap)
    capped = s
    if SHIFTED:
        position = query + S - T
    else:
        position = query
    if SCORE:
        s = score(s, position, key, head, weights, heads)
    if BIAS:
        plane = head
        if BIAS_EACH:
            plane = batch * heads + head
        at = (plane.to(tl.int64) * T + query) * S + key
        s = s + tl.load(bias + at, mask=(query < T) & (key < S), other=0.0).to(tl.float32)
    if ALIBI:
        s = s - slope * tl.abs(position - key).to(tl.float32)
    return s, capped


@triton.jit
def visible(
    query, key, batch, T, S, window, prefix, documents, mask,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, PREFIX: tl.constexpr, DOCUMENTS: tl.constexpr,
    KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr, SHIFTED: tl.constexpr,
):  # fmt: skip
    """Which keys a query may see."""
    seen = key < S
    if SHIFTED:
        # The last query stands at the last key.
        position = query + S - T
    else:
        position = query
    if CAUSAL:
        earlier = key <= position
        if PREFIX:
            earlier = earlier | (key < prefix)
        seen = seen & earlier
    if WINDOW:
        seen = seen & (tl.abs(position - key) < window)
    if DOCUMENTS:
        own = tl.load(documents + batch * T + query, mask=query < T, other=0)
        other = tl.load(documents + batch * S + key, mask=key < S, other=0)
        seen = seen & (own == other)
    if KEY_MASK:
        seen = seen & (tl.load(mask + batch * S + key, mask=key < S, other=0) != 0)
    if PAIR_MASK:
        at = mask + (batch * T + query).to(tl.int64) * S + key
        seen = seen & (tl.load(at, mask=(query < T) & (key < S), other=0) != 0)
    return seen


@triton.jit
def kept(seed, query, key, plane, T, drop):
    """What dropout keeps: by places alone, so that every pass and every size of tile has the same.

    Philox gives each query a number of 32 bits, and a hash of that and the key (lowbias32, Wellons 2018) decides: whole
    rounds of Philox for each pair would take longer than all else.
    """
    row = tl.randint(seed, plane.to(tl.int64) * T + query, n_rounds=7).to(tl.uint32, bitcast=True)
    bits = row ^ (key.to(tl.uint32) * 0x9E3779B9)
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    bits = bits ^ (bits >> 16)
    return bits >= (tl.zeros([1, 1], tl.float32) + drop * 4294967296.0).to(tl.uint32)


@triton.jit
def keys_seen(
    top, batch, T, S, window, prefix, spans, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    SHIFTED: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ONE_SIDED: tl.constexpr, PREFIX: tl.constexpr,
    DOCUMENTS: tl.constexpr, KEY_MASK: tl.constexpr, PAIR_MASK: tl.constexpr,
):  # fmt: skip
    """Where a tile of queries looks: from where to where all of them see all, and where some see some."""
    lowest = top
    if SHIFTED:
        lowest = top + S - T
    first = 0
    last = S
    whole = 0
    whole_end = S
    if CAUSAL:
        last = tl.minimum(last, lowest + BLOCK_M)
        whole_end = tl.minimum(whole_end, lowest + 1)
        if PREFIX:
            last = tl.minimum(S, tl.maximum(last, prefix))
            whole_end = tl.minimum(S, tl.maximum(whole_end, prefix))
    if WINDOW:
        first = tl.maximum(first, lowest - window + 1)
        whole = tl.maximum(whole, lowest + BLOCK_M - window)
        if not ONE_SIDED:
            last = tl.minimum(last, lowest + BLOCK_M - 1 + window)
            whole_end = tl.minimum(whole_end, lowest + window)
    if DOCUMENTS:
        # `spans` [B, blocks, 2] has the first and the last key of the documents in each block.
        at = spans + (batch * tl.cdiv(T, BLOCK_M) + top // BLOCK_M) * 2
        first = tl.maximum(first, tl.load(at))
        last = tl.minimum(last, tl.load(at + 1))
    first = tl.maximum(first, 0) // BLOCK_N * BLOCK_N
    if DOCUMENTS or KEY_MASK or PAIR_MASK:
        # Whom a tile shows is not known before it is read.
        whole = first
        whole_end = first
    else:
        whole = tl.maximum(first, tl.cdiv(whole, BLOCK_N) * BLOCK_N)
        whole_end = tl.maximum(whole, whole_end // BLOCK_N * BLOCK_N)
    return first, whole, whole_end, last
