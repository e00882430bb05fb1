"""Rotary position embedding (Su et al. 2021) of queries and keys in one launch: halves are turned, not neighbours.

Pairs (left, right) of the two halves of a head become (left cos - right sin, right cos + left sin); the gradient turns
back, by -sin. The maths is float32, the tables are.
"""

import triton
import triton.language as tl


@triton.jit
def turn(
    source, out, cos, sin, row_step, block, lines, T,
    BLOCK: tl.constexpr, HEADS: tl.constexpr, HALF: tl.constexpr, PADDED: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    """BLOCK lines, the heads of all rows in turn, from `block * BLOCK` on; `source` has rows `row_step` apart."""
    line = block * BLOCK + tl.arange(0, BLOCK)[:, None]
    column = tl.arange(0, PADDED)[None, :]
    inside = (line < lines) & (column < HALF)
    row = line // HEADS
    table = row % T * HALF + column
    c = tl.load(cos + table, mask=inside, other=0.0)
    s = tl.load(sin + table, mask=inside, other=0.0)
    if BACK:
        s = -s
    at = source + row.to(tl.int64) * row_step + line % HEADS * (2 * HALF) + column
    left = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    right = tl.load(at + HALF, mask=inside, other=0.0).to(tl.float32)
    at = out + line.to(tl.int64) * (2 * HALF) + column
    tl.store(at, (left * c - right * s).to(out.dtype.element_ty), mask=inside)
    tl.store(at + HALF, (right * c + left * s).to(out.dtype.element_ty), mask=inside)


@triton.jit
def rotary(
    q, k, q_out, k_out, cos, sin, q_row, k_row, q_lines, k_lines, T,
    BLOCK: tl.constexpr, HEADS: tl.constexpr, KV_HEADS: tl.constexpr, HALF: tl.constexpr, PADDED: tl.constexpr,
    BACK: tl.constexpr,
):  # fmt: skip
    """q [B, T, HEADS, 2 HALF], k [B, T, KV_HEADS, 2 HALF], their B T rows `q_row` and `k_row` apart.

    q_out and k_out are whole; cos, sin [at least T, HALF] float32. `q_lines` is B T HEADS, `k_lines` B T KV_HEADS;
    the first programs have blocks of q, the others of k.
    """
    block = tl.program_id(0)
    q_blocks = tl.cdiv(q_lines, BLOCK)
    if block < q_blocks:
        turn(q, q_out, cos, sin, q_row, block, q_lines, T, BLOCK, HEADS, HALF, PADDED, BACK)
    else:
        turn(k, k_out, cos, sin, k_row, block - q_blocks, k_lines, T, BLOCK, KV_HEADS, HALF, PADDED, BACK)
