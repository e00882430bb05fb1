"""LayerNorm and RMSNorm, forward, with the addition to the residual stream before them.

x, residual, total, y [M, WIDTH]; weight, bias [WIDTH]; mean, rstd [M] float32, what backward needs of a row. With ADD
`total` = residual + x, after dropout if there is one, is stored and is what is normed; else x is. Each tensor may have
a dtype of its own: rounding happens where one is stored, and the norm is of `total` as stored.
"""

import triton
import triton.language as tl

from .norm_rows import dropped, gains


@triton.jit
def incoming(
    x, residual, total, at, inside, rows, columns, seed, drop, ADD: tl.constexpr, DROPOUT: tl.constexpr
):  # fmt: skip
    """A tile of what is to be normed."""
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if DROPOUT:
        value = dropped(value, seed, rows, columns, drop)
    if ADD:
        value += tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
        stored = value.to(total.dtype.element_ty)
        tl.store(total + at, stored, mask=inside)
        value = stored.to(tl.float32)
    return value


@triton.jit
def scaled(
    normed, weight, bias, columns, offset,
    WIDTH: tl.constexpr, WEIGHT: tl.constexpr, OFFSET: tl.constexpr, BIAS: tl.constexpr,
):  # fmt: skip
    """Gain and bias."""
    if WEIGHT:
        normed = normed * gains(weight, columns, offset, WIDTH, OFFSET, "")
    if BIAS:
        normed += tl.load(bias + columns, mask=columns < WIDTH, other=0.0).to(tl.float32)
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
    x, residual, weight, bias, total, y, mean, rstd, M, eps, offset, seeds, drop,
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

    # Each lane has the mean of its own columns, and the sum of squares around that (Welford 1962): the difference of
    # two large sums would lose the variance of a row whose mean is large.
    means = tl.zeros([1, BLOCK], tl.float32)
    squares = tl.zeros([1, BLOCK], tl.float32)
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
        counts = ((WIDTH - lanes + BLOCK - 1) // BLOCK).to(tl.float32)
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
            value = tl.load(total + at, mask=inside, other=0.0).to(tl.float32)
        else:
            value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        if LAYER:
            value = value - middle
        result = scaled(value * scale, weight, bias, columns, offset, WIDTH, WEIGHT, OFFSET, BIAS)
        tl.store(y + at, result.to(y.dtype.element_ty), mask=inside)
