"""What forward and backward of LayerNorm and RMSNorm share. Tiles are [rows, columns]; all is computed in float32.

`rows` and `columns` are the numbers of a tile's rows and columns, shaped to spread over it: [ROWS, 1] and [1, BLOCK].
"""

import triton
import triton.language as tl

from .attention_scores import kept


@triton.jit
def dropped(value, seed, rows, columns, drop):
    """Dropout, by the place of an entry alone: backward drops what forward dropped, whatever the tiles."""
    keep = kept(seed, 0, columns, rows, 1, drop)
    return tl.where(keep, value * (1.0 / (1.0 - drop)), 0.0)


@triton.jit
def gains(weight, columns, offset, WIDTH: tl.constexpr, OFFSET: tl.constexpr, POLICY: tl.constexpr):
    """What each column is multiplied by."""
    gain = tl.load(weight + columns, mask=columns < WIDTH, other=0.0, eviction_policy=POLICY).to(tl.float32)
    if OFFSET:
        gain += offset
    return gain
