"""What stands around the product of a linear layer, [M, N]: the sums of its columns, which are the gradient of a bias,
and an activation behind it, whose backward pass takes these sums on its way.

Sums over rows are taken in parts, in a fixed order. All is computed in float32, and rounded where it is stored.
"""

import triton
import triton.language as tl


@triton.jit
def activation(x):
    """The file's own function, here SiLU."""
    return x * tl.sigmoid(x)


@triton.jit
def activation_by_x(x):
    """Its derivative."""
    s = tl.sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


@triton.jit
def activation_forward(x, y, size, BLOCK: tl.constexpr):
    """x and y have `size` entries."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + at, activation(value).to(y.dtype.element_ty), mask=inside)


@triton.jit
def activation_backward(x, d_y, d_x, sums, M, N, per, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """d_x, and the sums of its columns in parts: sums [parts, N]. A program takes BLOCK columns of `per` rows, ROWS at
    a time.
    """
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]
    first = tl.program_id(1) * per
    last = tl.minimum(first + per, M)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for start in tl.range(first, last, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]
        inside = (rows < last) & (columns < N)
        at = rows.to(tl.int64) * N + columns
        value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        change = tl.load(d_y + at, mask=inside, other=0.0).to(tl.float32)
        change = change * activation_by_x(value)
        tl.store(d_x + at, change.to(d_x.dtype.element_ty), mask=inside)
        # Outside the slope at 0 came in, which need not be a number.
        total += tl.where(inside, change, 0.0)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(sums + tl.program_id(1) * N + column, tl.sum(total, 0), mask=column < N)


@triton.jit
def sum_columns(x, sums, row_step, M, N, per, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Sums of columns of x, whose rows lie `row_step` apart, in parts: sums [parts, N]. A program takes BLOCK columns
    of `per` rows, ROWS at a time.
    """
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]
    first = tl.program_id(1) * per
    last = tl.minimum(first + per, M)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for start in tl.range(first, last, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]
        inside = (rows < last) & (columns < N)
        at = rows.to(tl.int64) * row_step + columns
        total += tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    out = sums + tl.program_id(1) * N + column
    tl.store(out, tl.sum(total, 0).to(sums.dtype.element_ty), mask=column < N)
