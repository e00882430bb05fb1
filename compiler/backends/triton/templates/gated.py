"""Gated activations (Shazeer 2020), forward and backward: out = activation(gate) * up, entry by entry.

All have N entries. Backward computes the activation again. Each entry is rounded once, where it is stored.
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
def halves(first, lanes, WIDTH: tl.constexpr):
    """Where the entries `first + lanes` of gate and up are, if these are halves of one matrix [.., 2 * WIDTH]."""
    row = first // WIDTH
    columns = (first - row * WIDTH).to(tl.int32) + lanes
    return row * (2 * WIDTH) + columns + columns // WIDTH * WIDTH


@triton.jit
def gated_forward(gate, up, out, N, BLOCK: tl.constexpr, WIDTH: tl.constexpr, JOINED: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * BLOCK
    lanes = tl.arange(0, BLOCK)
    at = first + lanes
    inside = at < N
    if JOINED:
        source = halves(first, lanes, WIDTH)
    else:
        source = at
    x = tl.load(gate + source, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(up + source, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, (activation(x) * factor).to(out.dtype.element_ty), mask=inside)


@triton.jit
def gated_backward(
    gate, up, d_out, d_gate, d_up, N, BLOCK: tl.constexpr, WIDTH: tl.constexpr, JOINED: tl.constexpr
):  # fmt: skip
    first = tl.program_id(0).to(tl.int64) * BLOCK
    lanes = tl.arange(0, BLOCK)
    at = first + lanes
    inside = at < N
    if JOINED:
        # The gradients are halves of one matrix, too.
        source = halves(first, lanes, WIDTH)
    else:
        source = at
    x = tl.load(gate + source, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(up + source, mask=inside, other=0.0).to(tl.float32)
    change = tl.load(d_out + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(d_gate + source, (change * factor * activation_by_x(x)).to(d_gate.dtype.element_ty), mask=inside)
    tl.store(d_up + source, (change * activation(x)).to(d_up.dtype.element_ty), mask=inside)
