"""Norms of rows, backward, without atomics: sums over rows are taken in parts, in an order that is fixed.

x is what was normed. Of a tile, `normed` is what came of it but for what is learnt, and `change` the gradient by that.
What of a change would only stretch a row has no effect, and is taken off: normed * mean(change * normed).
"""

import triton
import triton.language as tl

from .norm_rows import dropped, entries, gains


@triton.jit
def norm_tile(
    x, d_y, at, inside, middle, scale, LAYER: tl.constexpr, AGAIN: tl.constexpr, POLICY: tl.constexpr
):  # fmt: skip
    """The gradient by y, and `normed`. `scale` is rstd, shaped to spread over the tile."""
    gradient = entries(d_y, at, inside, AGAIN, POLICY)
    value = entries(x, at, inside, AGAIN, POLICY)
    if LAYER:
        value = value - middle
    return gradient, value * scale


@triton.jit
def norm_backward_rows(
    x, d_y, weight, mean, rstd, level, along, offset,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr, LAYER: tl.constexpr, WEIGHT: tl.constexpr, OFFSET: tl.constexpr,
):  # fmt: skip
    """What `norm_backward` needs of a row that is too wide for it to see as a whole. A program has one row."""
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
        change, normed = norm_tile(x, d_y, base + columns, columns < WIDTH, middle, scale, LAYER, False, "")
        if WEIGHT:
            change = change * gains(weight, columns, offset, WIDTH, OFFSET, False, "")
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
    """A program takes `per` rows, ROWS at a time; parts of sums over rows are [parts, WIDTH], in float32."""
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    if WEIGHT:
        d_gain = tl.zeros([ROWS, BLOCK], tl.float32)
        if not AGAIN:
            gain = gains(weight, columns, offset, WIDTH, OFFSET, False, "")
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
            # A row is too long to stay in registers: it is read twice, the second time from the first cache.
            change, normed = norm_tile(x, d_y, at, inside, middle, scale, LAYER, True, "evict_last")
            if WEIGHT:
                change = change * gains(weight, columns, offset, WIDTH, OFFSET, True, "evict_last")
        else:
            change, normed = norm_tile(x, d_y, at, inside, middle, scale, LAYER, False, "")
            if BIAS:
                d_shift += change
            if WEIGHT:
                d_gain += change * normed
                change = change * gain
        if WIDE:
            # The columns are those of a block of many.
            stretch = tl.load(along + row, mask=row < last, other=0.0)[:, None]
        else:
            stretch = tl.sum(change * normed, 1)[:, None] / WIDTH
        if LAYER:
            # What would only move a row has no effect, either.
            if WIDE:
                shift = tl.load(level + row, mask=row < last, other=0.0)[:, None]
            else:
                shift = tl.sum(change, 1)[:, None] / WIDTH
        if AGAIN:
            change, normed = norm_tile(x, d_y, at, inside, middle, scale, LAYER, True, "evict_first")
            if BIAS:
                d_shift += change
            if WEIGHT:
                d_gain += change * normed
                change = change * gains(weight, columns, offset, WIDTH, OFFSET, False, "")
        change = change - normed * stretch
        if LAYER:
            change = change - shift
        change = change * scale
        if STREAM:
            # x went on in the residual stream, too.
            change += entries(d_total, at, inside, False, "")
        tl.store(d_x + at, change.to(d_x.dtype.element_ty), mask=inside)
        if BRANCH:
            # What was added to the stream differs from it by dropout, or by its dtype.
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
    """out [N, WIDTH] is the sum of parts [N, P, WIDTH]. A program has BLOCK columns and takes ROWS parts at a time."""
    parts += tl.program_id(1) * P * WIDTH
    out += tl.program_id(1) * WIDTH
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for start in tl.range(0, P, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]
        inside = (rows < P) & (columns[None, :] < WIDTH)
        total += tl.load(parts + rows * WIDTH + columns[None, :], mask=inside, other=0.0)
    tl.store(out + columns, tl.sum(total, 0).to(out.dtype.element_ty), mask=columns < WIDTH)
