"""What forward and backward of the norms share.

`rows` and `columns` are the numbers of a tile's rows and columns, shaped to spread over it: [ROWS, 1] and [1, BLOCK].
"""

import triton
import triton.language as tl

from .attention_scores import kept


@triton.jit
def dropped(value, seed, rows, columns, drop):
    """Dropout by the places of entries alone: backward drops what forward dropped, whatever the tiles."""
    keep = kept(seed, 0, columns, rows, 1, drop)
    return tl.where(keep, value * (1.0 / (1.0 - drop)), 0.0)


@triton.jit
def entries(source, at, inside, AGAIN: tl.constexpr, POLICY: tl.constexpr):
    """In float32; 0 outside."""
    if AGAIN:
        return tl.load(source + at, mask=inside, other=0.0, eviction_policy=POLICY).to(tl.float32)
    else:
        return tl.load(source + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def gains(
    weight, columns, offset, WIDTH: tl.constexpr, OFFSET: tl.constexpr, AGAIN: tl.constexpr, POLICY: tl.constexpr
):  # fmt: skip
    """What each column is multiplied by."""
    gain = entries(weight, columns, columns < WIDTH, AGAIN, POLICY)
    if OFFSET:
        gain += offset
    return gain
