"""Norms of rows, forward: LayerNorm and RMSNorm.

x and y are [M, WIDTH], what is learnt [WIDTH], and what backward needs of a row [M], in float32. Each tensor may have a
dtype of its own: what is computed is float32, and rounded where it is stored.
"""

import triton
import triton.language as tl

from .norm_rows import dropped, entries, gains


@triton.jit
def incoming(
    x, residual, total, at, inside, rows, columns, seed, drop, ADD: tl.constexpr, DROPOUT: tl.constexpr
):  # fmt: skip
    """A tile of what is to be normed."""
    value = entries(x, at, inside, False, "")
    if DROPOUT:
        value = dropped(value, seed, rows, columns, drop)
    if ADD:
        # `total`, what the residual stream is from here on, is normed as it is stored.
        value += entries(residual, at, inside, False, "")
        stored = value.to(total.dtype.element_ty)
        tl.store(total + at, stored, mask=inside)
        value = stored.to(tl.float32)
    return value


@triton.jit
def scaled(
    normed, weight, bias, columns, offset,
    WIDTH: tl.constexpr, WEIGHT: tl.constexpr, OFFSET: tl.constexpr, BIAS: tl.constexpr,
):  # fmt: skip
    """What is learnt of each column, applied."""
    if WEIGHT:
        normed = normed * gains(weight, columns, offset, WIDTH, OFFSET, False, "")
    if BIAS:
        normed += entries(bias, columns, columns < WIDTH, False, "")
    return normed


@triton.jit
def norm_forward(
    x, residual, weight, bias, total, y, mean, rstd, M, eps, offset, seeds, drop,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr, LAYER: tl.constexpr, WEIGHT: tl.constexpr,
    OFFSET: tl.constexpr, BIAS: tl.constexpr, ADD: tl.constexpr, DROPOUT: tl.constexpr,
):  # fmt: skip
    """A program has ROWS whole rows; BLOCK is the power of two that WIDTH fits in."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    rows = row[:, None]
    columns = tl.arange(0, BLOCK)[None, :]
    inside = (rows < M) & (columns < WIDTH)
    at = rows.to(tl.int64) * WIDTH + columns
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)
    value = incoming(x, residual, total, at, inside, rows, columns, seed, drop, ADD, DROPOUT)
    if LAYER:
        middle = tl.sum(value, 1) / WIDTH
        tl.store(mean + row, middle, mask=row < M)
        value = tl.where(columns < WIDTH, value - middle[:, None], 0.0)
    scale = tl.rsqrt(tl.sum(value * value, 1) / WIDTH + eps)
    tl.store(rstd + row, scale, mask=row < M)
    result = scaled(value * scale[:, None], weight, bias, columns, offset, WIDTH, WEIGHT, OFFSET, BIAS)
    tl.store(y + at, result.to(y.dtype.element_ty), mask=inside)


@triton.jit
def norm_forward_wide(
    x, residual, weight, bias, total, y, mean, rstd, eps, offset, seeds, drop,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr, LAYER: tl.constexpr, WEIGHT: tl.constexpr,
    OFFSET: tl.constexpr, BIAS: tl.constexpr, ADD: tl.constexpr, DROPOUT: tl.constexpr,
):  # fmt: skip
    """A program goes over one row twice, BLOCK columns at a time, WIDTH > BLOCK; the second time a cache has it."""
    row = tl.program_id(0)
    rows = row + tl.arange(0, 1)[:, None]
    lanes = tl.arange(0, BLOCK)[None, :]
    base = row.to(tl.int64) * WIDTH
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)

    squares = tl.zeros([1, BLOCK], tl.float32)
    if LAYER:
        # Each lane has the mean of its own columns, and the sum of squares around that (Welford 1962): the difference
        # of two large sums would lose the variance of a row whose mean is large.
        means = tl.zeros([1, BLOCK], tl.float32)
        count = 0.0
    for start in tl.range(0, WIDTH, BLOCK):
        columns = start + lanes
        inside = columns < WIDTH
        value = incoming(x, residual, total, base + columns, inside, rows, columns, seed, drop, ADD, DROPOUT)
        if LAYER:
            count += 1.0
            off = tl.where(inside, value - means, 0.0)
            means += off * (1.0 / count)
            squares += off * (value - means)
        else:
            squares += value * value
    middle = 0.0
    if LAYER:
        counts = ((-lanes + (WIDTH + BLOCK - 1)) // BLOCK).to(tl.float32)
        middle = tl.sum(means * counts) / WIDTH
        tl.store(mean + row, middle)
        off = means - middle
        squares += counts * off * off
    scale = tl.rsqrt(tl.sum(squares) / WIDTH + eps)
    tl.store(rstd + row, scale)

    if ADD:
        # Another thread than the one that stored an entry of `total` may read it.
        tl.debug_barrier()
    for start in tl.range(0, WIDTH, BLOCK):
        columns = start + lanes
        inside = columns < WIDTH
        at = base + columns
        if ADD:
            value = entries(total, at, inside, False, "")
        else:
            value = entries(x, at, inside, False, "")
        if LAYER:
            value = value - middle
        result = scaled(value * scale, weight, bias, columns, offset, WIDTH, WEIGHT, OFFSET, BIAS)
        tl.store(y + at, result.to(y.dtype.element_ty), mask=inside)
