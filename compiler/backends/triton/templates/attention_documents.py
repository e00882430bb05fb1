"""Where the documents of packed sequences begin and end, so that an attention reads nothing else."""

import triton
import triton.language as tl

from .attention_scores import block_and_plane


@triton.jit
def attention_spans(documents, spans, T, BLOCK: tl.constexpr, STEP: tl.constexpr):
    """The first place of the documents in a block, and the end of their last: spans [B, blocks, 2].

    documents [B, T] are numbers in any order. Beside the attention itself, comparing all with all takes little.
    """
    block, batch = block_and_plane(tl.cdiv(T, BLOCK))
    # Behind the last place, the last once more.
    own = tl.load(documents + batch * T + tl.minimum(block * BLOCK + tl.arange(0, BLOCK), T - 1))
    first = tl.full([STEP], T, tl.int32)
    last = tl.zeros([STEP], tl.int32)
    for start in tl.range(0, T, STEP):
        place = tl.minimum(start + tl.arange(0, STEP), T - 1)
        other = tl.load(documents + batch * T + place)
        met = tl.max((own[:, None] == other[None, :]).to(tl.int32), 0) > 0
        first = tl.minimum(first, tl.where(met, place, T))
        last = tl.maximum(last, tl.where(met, place + 1, 0))
    at = spans + tl.program_id(0) * 2
    tl.store(at, tl.min(first, 0))
    tl.store(at + 1, tl.max(last, 0))
