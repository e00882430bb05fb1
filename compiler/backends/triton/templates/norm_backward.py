"""LayerNorm and RMSNorm, backward, without atomics: sums over rows are taken in parts, in an order that is fixed.

Of a row, `normed` = (x - mean) * rstd and `change` = d_y * gain. The gradient by x is change, less its mean, less
`normed` times the mean of change * normed, all times rstd: what of a change would only move or stretch the row is lost.

x is what forward normed (`total`, where it added), d_y the gradient by y; d_total the one that comes from the residual
stream and is added to d_x. With BRANCH the gradient of what was added to the stream is stored besides, d_branch: it
differs from d_x by dropout or by its dtype. All [M, WIDTH]; mean, rstd, level, along [M] float32; the parts of the
gradients of weight and bias [parts, WIDTH] float32.
"""

import triton
import triton.language as tl

from .norm_rows import dropped, gains


@triton.jit
def tile(
    x, d_y, at, inside, middle, scale, LAYER: tl.constexpr, POLICY: tl.constexpr
):  # fmt: skip
    """d_y and the normed x of a tile. `middle` and `scale` are mean and rstd, shaped to spread over it."""
    gradient = tl.load(d_y + at, mask=inside, other=0.0, eviction_policy=POLICY).to(tl.float32)
    value = tl.load(x + at, mask=inside, other=0.0, eviction_policy=POLICY).to(tl.float32)
    if LAYER:
        value = value - middle
    return gradient, value * scale


@triton.jit
def norm_backward_rows(
    x, d_y, weight, mean, rstd, level, along, offset,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr, LAYER: tl.constexpr, WEIGHT: tl.constexpr, OFFSET: tl.constexpr,
):  # fmt: skip
    """The two means of each row, for WIDE: `level` of change, `along` of change * normed. A program has one row."""
    row = tl.program_id(0)
    base = row.to(tl.int64) * WIDTH
    scale = tl.load(rstd + row)
    middle = 0.0
    if LAYER:
        middle = tl.load(mean + row)
    levels = tl.zeros([BLOCK], tl.float32)
    alongs = tl.zeros([BLOCK], tl.float32)
    for start in tl.range(0, WIDTH, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        change, normed = tile(x, d_y, base + columns, columns < WIDTH, middle, scale, LAYER, "")
        if WEIGHT:
            change = change * gains(weight, columns, offset, WIDTH, OFFSET, "")
        if LAYER:
            levels += change
        alongs += change * normed
    if LAYER:
        tl.store(level + row, tl.sum(levels) / WIDTH)
    tl.store(along + row, tl.sum(alongs) / WIDTH)


@triton.jit
def norm_backward(
    x, d_y, d_total, weight, mean, rstd, level, along, d_x, d_branch, d_weight, d_bias, M, per, offset, seeds, drop,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr, AGAIN: tl.constexpr, WIDE: tl.constexpr,
    WIDTH: tl.constexpr, LAYER: tl.constexpr, WEIGHT: tl.constexpr, OFFSET: tl.constexpr, BIAS: tl.constexpr,
    STREAM: tl.constexpr, BRANCH: tl.constexpr, DROPOUT: tl.constexpr,
):  # fmt: skip
    """A program takes `per` rows, ROWS at a time, and writes one part of the gradients of weight and bias.

    It has whole rows, or with WIDE the columns of block `program_id(1)`, and finds the means of a row in `level` and
    `along`. With AGAIN a row is too long to stay in registers, and is read from the first cache once more.
    """
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    if WEIGHT:
        d_gain = tl.zeros([ROWS, BLOCK], tl.float32)
        if not AGAIN:
            gain = gains(weight, columns, offset, WIDTH, OFFSET, "")
    if BIAS:
        d_shift = tl.zeros([ROWS, BLOCK], tl.float32)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)
    first = tl.program_id(0) * per
    last = tl.minimum(first + per, M)
    for start in tl.range(first, last, ROWS, num_stages=STAGES):
        row = start + tl.arange(0, ROWS)
        rows = row[:, None]
        inside = (rows < last) & (columns < WIDTH)
        at = rows.to(tl.int64) * WIDTH + columns
        scale = tl.load(rstd + row, mask=row < last, other=0.0)[:, None]
        middle = 0.0
        if LAYER:
            middle = tl.load(mean + row, mask=row < last, other=0.0)[:, None]
        if AGAIN:
            change, normed = tile(x, d_y, at, inside, middle, scale, LAYER, "evict_last")
            if WEIGHT:
                change = change * gains(weight, columns, offset, WIDTH, OFFSET, "evict_last")
        else:
            change, normed = tile(x, d_y, at, inside, middle, scale, LAYER, "")
            if BIAS:
                d_shift += change
            if WEIGHT:
                d_gain += change * normed
                change = change * gain
        if WIDE:
            turn = tl.load(along + row, mask=row < last, other=0.0)[:, None]
        else:
            turn = tl.sum(change * normed, 1)[:, None] / WIDTH
        if LAYER:
            if WIDE:
                shift = tl.load(level + row, mask=row < last, other=0.0)[:, None]
            else:
                shift = tl.sum(change, 1)[:, None] / WIDTH
        if AGAIN:
            change, normed = tile(x, d_y, at, inside, middle, scale, LAYER, "evict_first")
            if BIAS:
                d_shift += change
            if WEIGHT:
                d_gain += change * normed
                change = change * gains(weight, columns, offset, WIDTH, OFFSET, "")
        change = change - normed * turn
        if LAYER:
            change = change - shift
        change = change * scale
        if STREAM:
            change += tl.load(d_total + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(d_x + at, change.to(d_x.dtype.element_ty), mask=inside)
        if BRANCH:
            if DROPOUT:
                change = dropped(change, seed, rows, columns, drop)
            tl.store(d_branch + at, change.to(d_branch.dtype.element_ty), mask=inside)

    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    part = tl.program_id(0) * WIDTH + column
    if WEIGHT:
        tl.store(d_weight + part, tl.sum(d_gain, 0), mask=column < WIDTH)
    if BIAS:
        tl.store(d_bias + part, tl.sum(d_shift, 0), mask=column < WIDTH)


@triton.jit
def norm_sum_parts(parts, out, P, WIDTH: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """out [WIDTH] = the sum of parts [P, WIDTH]. A program has BLOCK columns and takes ROWS parts at a time."""
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for start in tl.range(0, P, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]
        inside = (rows < P) & (columns[None, :] < WIDTH)
        total += tl.load(parts + rows * WIDTH + columns[None, :], mask=inside, other=0.0)
    tl.store(out + columns, tl.sum(total, 0).to(out.dtype.element_ty), mask=columns < WIDTH)
