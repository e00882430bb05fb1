"""Rotary position embedding (Su et al. 2021) of queries and keys in one launch: halves are turned, not neighbours.

Pairs (left, right) of the two halves of a head become (left cos - right sin, right cos + left sin); the gradient turns
back, by -sin. The maths and the tables are float32.
"""

import triton
import triton.language as tl


@triton.jit
def turn(
    source, out, cos, sin, row_step, block, rows, T, heads,
    BLOCK: tl.constexpr, HALF: tl.constexpr, PADDED: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    """BLOCK of the heads of all rows, row by row, from `block * BLOCK` on; rows of `source` lie `row_step` apart."""
    place = block * BLOCK + tl.arange(0, BLOCK)[:, None]
    row = place // heads
    head = place % heads
    column = tl.arange(0, PADDED)[None, :]
    inside = (row < rows) & (column < HALF)
    angle = row % T * HALF + column
    c = tl.load(cos + angle, mask=inside, other=0.0)
    s = tl.load(sin + angle, mask=inside, other=0.0)
    if BACK:
        s = -s
    at = source + row.to(tl.int64) * row_step + head * (2 * HALF) + column
    left = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    right = tl.load(at + HALF, mask=inside, other=0.0).to(tl.float32)
    at = out + place.to(tl.int64) * (2 * HALF) + column
    tl.store(at, (left * c - right * s).to(out.dtype.element_ty), mask=inside)
    tl.store(at + HALF, (right * c + left * s).to(out.dtype.element_ty), mask=inside)


@triton.jit
def turn_both(
    q, k, q_out, k_out, cos, sin, q_row, k_row, B, T, S, heads, kv_heads,
    BLOCK: tl.constexpr, HALF: tl.constexpr, PADDED: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    """q [B, T, heads, 2 HALF], k [B, S, kv_heads, 2 HALF], their rows `q_row` and `k_row` apart; outputs whole.

    cos, sin [at least T and S, HALF]. The first cdiv(B * T * heads, BLOCK) programs have queries, the others keys.
    """
    block = tl.program_id(0)
    q_blocks = tl.cdiv(B * T * heads, BLOCK)
    if block < q_blocks:
        turn(q, q_out, cos, sin, q_row, block, B * T, T, heads, BLOCK, HALF, PADDED, BACK)
    else:
        turn(k, k_out, cos, sin, k_row, block - q_blocks, B * S, S, kv_heads, BLOCK, HALF, PADDED, BACK)
