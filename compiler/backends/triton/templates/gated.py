"""Gated activations (Shazeer 2020), forward and backward: out = activation(gate) * up, entry by entry.

All are [M, WIDTH]. Backward computes the activation again. Each entry is rounded once, where it is stored.
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
def places(M, BLOCK: tl.constexpr, WIDTH: tl.constexpr, JOINED: tl.constexpr):
    """A program's BLOCK entries: where they are in `out`, where in gate and up, and which of them there are."""
    first = tl.program_id(0).to(tl.int64) * BLOCK
    lanes = tl.arange(0, BLOCK)
    at = first + lanes
    if JOINED:
        # gate and up are the halves of one matrix [M, 2 * WIDTH], and so are their gradients.
        row = first // WIDTH
        columns = (first - row * WIDTH).to(tl.int32) + lanes
        source = row * (2 * WIDTH) + columns + columns // WIDTH * WIDTH
    else:
        source = at
    # A multiple of WIDTH as the compiler can see, so that the mask does not part what is loaded at once.
    total = M * tl.full([], WIDTH, tl.int64)
    return at, source, at < total


@triton.jit
def gated_forward(gate, up, out, M, BLOCK: tl.constexpr, WIDTH: tl.constexpr, JOINED: tl.constexpr):
    at, source, inside = places(M, BLOCK, WIDTH, JOINED)
    x = tl.load(gate + source, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(up + source, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, (activation(x) * factor).to(out.dtype.element_ty), mask=inside)


@triton.jit
def gated_backward(
    gate, up, d_out, d_gate, d_up, M, BLOCK: tl.constexpr, WIDTH: tl.constexpr, JOINED: tl.constexpr
):  # fmt: skip
    at, source, inside = places(M, BLOCK, WIDTH, JOINED)
    x = tl.load(gate + source, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(up + source, mask=inside, other=0.0).to(tl.float32)
    change = tl.load(d_out + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(d_gate + source, (change * factor * activation_by_x(x)).to(d_gate.dtype.element_ty), mask=inside)
    tl.store(d_up + source, (change * activation(x)).to(d_up.dtype.element_ty), mask=inside)
