"""Kernels of net.dlspec, and the plain forms that run without a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

try:
    import triton
    import triton.language as tl

    kernel, constant = triton.jit, tl.constexpr
except ImportError:  # without Triton the plain forms run
    triton = None

    def kernel(function: Callable) -> Callable:
        return function

    constant = kernel

# Operators are defined once in a process: an edited copy beside this file needs another name.
NAMESPACE = "net_be838a"
operators = getattr(torch.ops, NAMESPACE)


def fused(x: Tensor) -> bool:
    """Whether kernels run on such a tensor: on a GPU, in half precision or in float32."""
    dtypes = (torch.float16, torch.bfloat16, torch.float32)
    return triton is not None and x.is_cuda and x.dtype in dtypes and x.numel() > 0


def once_differentiable(backward: Callable) -> Callable:
    """Refuses a second derivative. PyTorch's decorator of this name leaves a part that has none
    out of the sum, where `torch.autograd.grad` finds other ways to what it is asked for.
    """

    def run(ctx, *gradients):
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise RuntimeError("kernels have no second derivative, plain forms do")
        return backward(ctx, *gradients)

    return run


def operator(schema: str, launch: Callable, shapes: Callable) -> None:
    """Defines an operator, once in a process: a second copy of this file finds it."""
    name = schema.partition("(")[0]
    if hasattr(operators, name):
        return
    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    # An operator lives as long as its library does, which may be longer than this module.
    setattr(operators, f"_{name}_library", library)
    library.define(schema)
    library.impl(name, launch, "CUDA")
    torch.library.register_fake(f"{NAMESPACE}::{name}", shapes, lib=library)


def warps(threads: int) -> int:
    """How many they are: of 64 threads each on AMD, else of 32."""
    return max(1, threads // (64 if torch.version.hip is not None else 32))


def hold_labels(labels: Tensor, rows: int) -> None:
    """Raises ValueError where PyTorch refuses labels: kernels read what memory holds."""
    if len(labels) != rows:
        raise ValueError(f"{rows} rows of logits, but {len(labels)} labels")
    if labels.dtype not in (torch.int64, torch.uint8):
        raise ValueError(f"labels are torch.int64, not {labels.dtype}")


def is_plain(layer: nn.Linear) -> bool:
    """Whether nothing was put around a layer or in place of what it has."""
    before = layer._forward_pre_hooks or layer._backward_pre_hooks
    behind = layer._forward_hooks or layer._backward_hooks
    everywhere = torch.nn.modules.module._has_any_global_hook()
    # Where it is computed (a parametrization), looking at it would compute it.
    own = type(layer._parameters.get("weight")) is nn.Parameter
    own = own and "forward" not in vars(layer)
    return own and not (before or behind or everywhere)


def scaled(x: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """x * scale in `dtype`, in one pass. `scale` is one number in float32."""
    y = torch.empty_like(x, dtype=dtype)
    # Without axes of its own it would be rounded to the dtype of x first.
    return torch.mul(x, scale.view([1] * x.ndim), out=y)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in the dtype of `total`."""
    if left.is_cuda and left.dtype != total.dtype:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total.addmm_(left.to(total.dtype), right.to(total.dtype))


CROSS_ENTROPY_LOG2_E = constant(1.4426950408889634)
"""Exponentials are taken to the base of two, the hardware's own."""
CROSS_ENTROPY_LOWEST = constant(-3.4028234663852886e38)
"""The least of float32. Below it is only -inf, which must not be subtracted from
itself.
"""
CROSS_ENTROPY_STAGES = constant(1)


# Cross-entropy of rows of logits: forward reads them once; backward reads and writes
# them once.
#
# The loss of a row is lse - logits[label], where lse = log(sum(exp(logits))), in
# float32. A label of -100 does not count.
#
# Rows of odd length do not begin where a load of 16 bytes may. Each row is read as a
# ring that begins at its first number where one may, so that all tiles but the last are
# read 16 bytes at a time; the last goes around the end of the row.


@kernel
def cross_entropy_counted_label(labels, row, V):
    """The label of a row, whether the row counts, and whether the label is then one
    of the V classes.
    """
    label = tl.load(labels + row).to(tl.int64)
    counts = label != -100
    known = counts & (label >= 0) & (label < V)
    return label.to(tl.int32), counts, known


@kernel
def cross_entropy_ring_start(base, V, GRAIN: tl.constexpr):
    """The first column of the row at `base` where a load of GRAIN numbers may begin."""
    return tl.minimum(tl.cdiv(base, GRAIN) * GRAIN - base, V).to(tl.int32)


@kernel
def cross_entropy_ring_tile(
    base, first, place, V, GRAIN: tl.constexpr, WHOLE: tl.constexpr
):
    """Places of the ring: where they lie, which columns they are, which of them there
    are.

    WHOLE promises that neither the end of the row nor that of the ring lies among them.
    """
    column = first + place
    if WHOLE:
        at = tl.multiple_of(base + first, GRAIN) + place
    else:
        column = tl.where(column < V, column, column - V)
        at = base + column
    return at, column, place < V


@kernel
def cross_entropy_over_columns(
    total,
    high,
    logits,
    base,
    first,
    begin,
    end,
    V,
    BLOCK: tl.constexpr,
    GRAIN: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """Goes on from place `begin` of the ring to `end`: sums of exp(logit - high), and
    the highest logits.

    A load is a line of GRAIN numbers, which one thread has; its sums are brought to a
    new height once for all of them.
    """
    for start in tl.range(begin, end, BLOCK, num_stages=CROSS_ENTROPY_STAGES):
        start = tl.multiple_of(start, BLOCK)
        lines = tl.arange(0, BLOCK // GRAIN)[:, None] * GRAIN
        at, _, inside = cross_entropy_ring_tile(
            base, first, start + lines + tl.arange(0, GRAIN)[None, :], V, GRAIN, WHOLE
        )
        if WHOLE:
            value = tl.load(logits + at).to(tl.float32)
        else:
            value = tl.load(logits + at, mask=inside, other=float("-inf")).to(
                tl.float32
            )
        higher = tl.maximum(high, tl.max(value, 1))
        total = total * tl.math.exp2((high - higher) * CROSS_ENTROPY_LOG2_E)
        total += tl.sum(
            tl.math.exp2((value - higher[:, None]) * CROSS_ENTROPY_LOG2_E), 1
        )
        high = higher
    return total, high


@kernel
def cross_entropy_row_loss(
    logits,
    base,
    first,
    label,
    counts,
    known,
    V,
    BLOCK: tl.constexpr,
    GRAIN: tl.constexpr,
):
    """The loss of the row at `base`, and its lse: of one that does not count,
    numbers that mean nothing.
    """
    # Before the passes: behind them a row may be written over.
    chosen = tl.load(logits + base + label, mask=known, other=float("nan")).to(
        tl.float32
    )
    end = tl.where(counts, V, 0)
    whole = tl.maximum(end - first, 0) // BLOCK * BLOCK
    total = tl.zeros([BLOCK // GRAIN], tl.float32)
    high = tl.full([BLOCK // GRAIN], CROSS_ENTROPY_LOWEST, tl.float32)
    total, high = cross_entropy_over_columns(
        total, high, logits, base, first, 0, whole, V, BLOCK, GRAIN, True
    )
    total, high = cross_entropy_over_columns(
        total, high, logits, base, first, whole, end, V, BLOCK, GRAIN, False
    )

    highest = tl.max(high, 0)
    log_sum = tl.log(
        tl.where(
            counts,
            tl.sum(total * tl.math.exp2((high - highest) * CROSS_ENTROPY_LOG2_E), 0),
            1.0,
        ),
    )
    # lse - chosen would round off what the logits have in common.
    result = (highest - chosen) + log_sum
    return result, highest + log_sum


@kernel
def cross_entropy_forward(logits, labels, loss, lse, row_step, V, BLOCK: tl.constexpr):
    """A program has a row. logits [rows, V], `row_step` apart; labels, loss, lse
    [rows].

    loss and lse of a row that does not count are 0, and nothing else of it is read. A
    label that is no class makes NaN.
    """
    GRAIN: tl.constexpr = 128 // logits.dtype.element_ty.primitive_bitwidth
    row = tl.program_id(0)
    base = row.to(tl.int64) * row_step
    label, counts, known = cross_entropy_counted_label(labels, row, V)
    first = cross_entropy_ring_start(base, V, GRAIN)
    result, log_sum = cross_entropy_row_loss(
        logits, base, first, label, counts, known, V, BLOCK, GRAIN
    )
    tl.store(loss + row, tl.where(counts, result, 0.0))
    tl.store(lse + row, tl.where(counts, log_sum, 0.0))


@kernel
def cross_entropy_over_classes(
    logits,
    d_logits,
    base,
    first,
    start,
    V,
    label,
    lse,
    by_p,
    by_label,
    BLOCK: tl.constexpr,
    GRAIN: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """The gradient by the logits of a tile: `by_p` times their softmax, less
    `by_label` at the label.
    """
    at, column, inside = cross_entropy_ring_tile(
        base, first, start + tl.arange(0, BLOCK), V, GRAIN, WHOLE
    )
    if WHOLE:
        value = tl.load(logits + at).to(tl.float32)
    else:
        value = tl.load(logits + at, mask=inside, other=float("-inf")).to(tl.float32)
    change = tl.math.exp2((value - lse) * CROSS_ENTROPY_LOG2_E) * by_p - tl.where(
        column == label, by_label, 0.0
    )
    change = change.to(d_logits.dtype.element_ty)
    if WHOLE:
        tl.store(d_logits + at, change)
    else:
        tl.store(d_logits + at, change, mask=inside)


@kernel
def cross_entropy_factors(known, change):
    """What the softmax, the entry of the label and each class count in a row's
    gradient, of which `change` is that by its loss.
    """
    by_label = tl.where(known, change, float("nan"))
    by_p = by_label
    return by_p, by_label


@kernel
def cross_entropy_backward(
    logits, labels, lse, d_loss, d_logits, row_step, V, BLOCK: tl.constexpr
):
    """A program has a tile of a row. d_loss, one number, is the gradient by each row's
    loss.

    Rows of d_logits lie `row_step` apart as those of logits do, and it may be logits
    itself: each number is read and written by one program. A launcher may do that with
    logits which it made, or which nothing reads after their loss and whose gradient is
    asked for once.
    """
    GRAIN: tl.constexpr = 128 // logits.dtype.element_ty.primitive_bitwidth
    row = tl.program_id(0)
    start = tl.program_id(1) * BLOCK
    base = row.to(tl.int64) * row_step
    label, counts, known = cross_entropy_counted_label(labels, row, V)
    first = cross_entropy_ring_start(base, V, GRAIN)
    if counts:
        log_sum = tl.load(lse + row)
        change = tl.load(d_loss).to(tl.float32)
        by_p, by_label = cross_entropy_factors(known, change)
        if first + start + BLOCK <= V:
            cross_entropy_over_classes(
                logits,
                d_logits,
                base,
                first,
                start,
                V,
                label,
                log_sum,
                by_p,
                by_label,
                BLOCK,
                GRAIN,
                True,
            )
        else:
            cross_entropy_over_classes(
                logits,
                d_logits,
                base,
                first,
                start,
                V,
                label,
                log_sum,
                by_p,
                by_label,
                BLOCK,
                GRAIN,
                False,
            )
    else:
        at, _, inside = cross_entropy_ring_tile(
            base, first, start + tl.arange(0, BLOCK), V, GRAIN, False
        )
        tl.store(
            d_logits + at, tl.zeros([BLOCK], d_logits.dtype.element_ty), mask=inside
        )


@kernel
def cross_entropy_in_place(logits, labels, loss, row_step, V, BLOCK: tl.constexpr):
    """A program has a row: its loss, and then in place of the logits the gradient by
    them, as if that by the loss were 1. A row comes from memory once: what is read
    again is in the cache, as long as few programs are at work.
    """
    GRAIN: tl.constexpr = 128 // logits.dtype.element_ty.primitive_bitwidth
    row = tl.program_id(0)
    base = row.to(tl.int64) * row_step
    label, counts, known = cross_entropy_counted_label(labels, row, V)
    first = cross_entropy_ring_start(base, V, GRAIN)
    result, log_sum = cross_entropy_row_loss(
        logits, base, first, label, counts, known, V, BLOCK, GRAIN
    )
    tl.store(loss + row, tl.where(counts, result, 0.0))
    whole = tl.maximum(V - first, 0) // BLOCK * BLOCK
    if counts:
        by_p, by_label = cross_entropy_factors(known, 1.0)
        for start in tl.range(0, whole, BLOCK):
            start = tl.multiple_of(start, BLOCK)
            cross_entropy_over_classes(
                logits,
                logits,
                base,
                first,
                start,
                V,
                label,
                log_sum,
                by_p,
                by_label,
                BLOCK,
                GRAIN,
                True,
            )
        for start in tl.range(whole, V, BLOCK):
            start = tl.multiple_of(start, BLOCK)
            cross_entropy_over_classes(
                logits,
                logits,
                base,
                first,
                start,
                V,
                label,
                log_sum,
                by_p,
                by_label,
                BLOCK,
                GRAIN,
                False,
            )
    else:
        for start in tl.range(0, V, BLOCK):
            start = tl.multiple_of(start, BLOCK)
            at, _, inside = cross_entropy_ring_tile(
                base, first, start + tl.arange(0, BLOCK), V, GRAIN, False
            )
            tl.store(
                logits + at, tl.zeros([BLOCK], logits.dtype.element_ty), mask=inside
            )


def launch_cross_entropy_forward(
    logits: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """loss and lse of each row of logits [rows, V], whose numbers lie side by side."""
    rows, V = logits.shape
    labels = labels.contiguous()
    loss = torch.empty(rows, dtype=torch.float32, device=logits.device)
    lse = torch.empty_like(loss)
    # A thread has 16 bytes of a tile, or twice as many of float32.
    block = max(256, min(2048, triton.next_power_of_2(V)))
    with torch.cuda.device_of(logits):
        cross_entropy_forward[(rows,)](
            logits,
            labels,
            loss,
            lse,
            logits.stride(0),
            V,
            BLOCK=block,
            num_warps=warps(block // 8),
        )
    return loss, lse


def cross_entropy_gradient(
    d_loss: Tensor, logits: Tensor, labels: Tensor, lse: Tensor, d_logits: Tensor
) -> None:
    """Fills d_logits, which lies as logits does and may be logits itself."""
    rows, V = logits.shape
    labels = labels.contiguous()
    widest = 2048 if V <= 65_536 else 8192
    block = max(256, min(widest, triton.next_power_of_2(V)))
    with torch.cuda.device_of(logits):
        cross_entropy_backward[(rows, triton.cdiv(V, block))](
            logits,
            labels,
            lse,
            d_loss,
            d_logits,
            logits.stride(0),
            V,
            BLOCK=block,
            num_warps=warps(min(256, block // 8)),
        )


def launch_cross_entropy_backward(
    d_loss: Tensor, logits: Tensor, labels: Tensor, lse: Tensor
) -> Tensor:
    size, step = logits.shape, logits.stride()
    d_logits = torch.empty_strided(size, step, dtype=logits.dtype, device=logits.device)
    cross_entropy_gradient(d_loss, logits, labels, lse, d_logits)
    return d_logits


def cross_entropy_with_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of each row. Logits become the gradient by them, as if that by each
    loss were 1.
    """
    rows, V = logits.shape
    labels = labels.contiguous()
    loss = torch.empty(rows, dtype=torch.float32, device=logits.device)
    # So many threads a row that a multiprocessor has two at a time, for which the cache has room.
    block = max(256, min(8192, triton.next_power_of_2(V)))
    with torch.cuda.device_of(logits):
        cross_entropy_in_place[(rows,)](
            logits,
            labels,
            loss,
            logits.stride(0),
            V,
            BLOCK=block,
            num_warps=warps(block // 16),
        )
    return loss


def cross_entropy_forward_shapes(logits, labels):
    loss = logits.new_empty(logits.shape[:1], dtype=torch.float32)
    return loss, torch.empty_like(loss)


def cross_entropy_backward_shapes(d_loss, logits, labels, lse):
    return logits.new_empty_strided(logits.shape, logits.stride())


operator(
    "cross_entropy_forward(Tensor logits, Tensor labels) -> (Tensor, Tensor)",
    launch_cross_entropy_forward,
    cross_entropy_forward_shapes,
)
operator(
    "cross_entropy_backward(Tensor d_loss, Tensor logits, Tensor labels, Tensor lse) -> Tensor",
    launch_cross_entropy_backward,
    cross_entropy_backward_shapes,
)


class CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, labels):
        loss, lse = operators.cross_entropy_forward(logits, labels)
        count = (labels != -100).sum()
        ctx.save_for_backward(logits, labels, lse, count)
        return loss.sum() / count

    @staticmethod
    @once_differentiable
    def backward(ctx, d_mean):
        logits, labels, lse, count = ctx.saved_tensors
        d_loss = d_mean / count
        d_logits = operators.cross_entropy_backward(d_loss, logits, labels, lse)
        return d_logits, None


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of -log softmax(logits)[label], in float32, fused where there is a GPU.

    logits [..., V], labels [...]; a label of -100 does not count.
    """
    logits, labels = logits.flatten(0, -2), labels.flatten()
    if not fused(logits):
        # In float32 at least.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(logits, labels)
    hold_labels(labels, len(logits))
    if logits.stride(1) != 1 or logits.stride(0) < logits.shape[1]:
        logits = logits.contiguous()
    return CrossEntropy.apply(logits, labels)


def launch_linear_cross_entropy(
    x: Tensor, weight: Tensor, labels: Tensor, by_x: bool, by_weight: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The sum of the losses of x [rows, width], and its gradients, as many rows of logits at a
    time as take the memory of x, or four times that of the weight where that is more.
    """
    (rows, width), V = x.shape, weight.shape[0]
    # Each chunk goes through the gradient of the weight, as long as 4 * width rows of logits
    # have a part of that to read and write: fewer rows would take longer.
    chunk = max(rows * width // V, 4 * width)
    total = torch.zeros((), dtype=torch.float32, device=x.device)
    d_x = x.new_empty(rows if by_x else 0, width)
    size = V if by_weight else 0
    d_weight = torch.zeros((size, width), dtype=torch.float32, device=x.device)
    # Rows are padded: products are fast where each begins at an aligned address.
    room = x.new_empty(min(chunk, rows), -(-V // 16) * 16)[:, :V]
    for start in range(0, rows, chunk):
        some, true = x[start : start + chunk], labels[start : start + chunk]
        logits = room[: len(some)]
        torch.mm(some, weight.t(), out=logits)
        if not (by_x or by_weight):
            loss, _ = launch_cross_entropy_forward(logits, true)
            total += loss.sum()
            continue
        # As if the gradient by the sum were 1: small numbers would be lost in float16.
        total += cross_entropy_with_gradient(logits, true).sum()
        if by_x:
            torch.mm(logits, weight, out=d_x[start : start + chunk])
        if by_weight:
            add_product(d_weight, logits.t(), some)
    return total, d_x, d_weight


def linear_cross_entropy_shapes(x, weight, labels, by_x, by_weight):
    (rows, width), size = x.shape, weight.shape[0] if by_weight else 0
    total = x.new_empty((), dtype=torch.float32)
    d_x = x.new_empty(rows if by_x else 0, width)
    d_weight = x.new_empty((size, width), dtype=torch.float32)
    return total, d_x, d_weight


operator(
    "linear_cross_entropy(Tensor x, Tensor weight, Tensor labels, bool by_x, bool by_weight) -> (Tensor, Tensor, Tensor)",
    launch_linear_cross_entropy,
    linear_cross_entropy_shapes,
)


class ChunkedCrossEntropy(torch.autograd.Function):
    """Gradients are made in the forward pass, while logits are there; backward only scales."""

    @staticmethod
    def forward(ctx, x, weight, labels, by_x, by_weight):
        total, *gradients = operators.linear_cross_entropy(
            x, weight.to(x.dtype), labels, by_x, by_weight
        )
        count = (labels != -100).sum()
        ctx.save_for_backward(count, *gradients)
        ctx.dtypes = x.dtype, weight.dtype
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx, d_mean):
        count, *gradients = ctx.saved_tensors
        scale = d_mean / count.clamp(min=1)
        d_x, d_weight = (
            scaled(gradient, scale, dtype) if needed else None
            for gradient, dtype, needed in zip(
                gradients, ctx.dtypes, ctx.needs_input_grad
            )
        )
        return d_x, d_weight, None, None, None


def linear_cross_entropy(x: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """cross_entropy of a linear layer, which on a GPU never has all of its logits.

    x [..., 16], labels [...]; a label of -100 does not count.
    """
    if not fused(x):
        return cross_entropy(F.linear(x, weight), labels)
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    x, labels = x.flatten(0, -2).contiguous(), labels.flatten()
    hold_labels(labels, len(x))
    by_x = torch.is_grad_enabled() and x.requires_grad
    by_weight = torch.is_grad_enabled() and weight.requires_grad
    return ChunkedCrossEntropy.apply(x, weight, labels, by_x, by_weight)


class LinearCrossEntropy(nn.Linear):
    """[..., 16] -> [..., 256]; with targets [...], their cross-entropy."""

    def __call__(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        if targets is None:
            return super().__call__(x)
        if not is_plain(self) or self.bias is not None:
            # Hooks take and give what those of a linear layer do.
            return cross_entropy(super().__call__(x), targets)
        return linear_cross_entropy(x, self.weight, targets)
