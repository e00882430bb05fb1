"""Cross-entropy of rows of logits: forward reads them once; backward reads and writes them once.

The loss of a row is lse - logits[label], where lse = log(sum(exp(logits))), in float32. A label of -100 does not count.

Rows of odd length do not begin where a load of 16 bytes may. Each row is read as a ring that begins at its first number
where one may, so that all tiles but the last are read 16 bytes at a time; the last goes around the end of the row.
"""

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
"""Exponentials are taken to the base of two, the hardware's own."""
LOWEST = tl.constexpr(-3.4028234663852886e38)
"""The least of float32. Below it is only -inf, which must not be subtracted from itself."""


@triton.jit
def counted_label(labels, row, V, ignore, IGNORE: tl.constexpr):
    """The label of a row, whether the row counts, and whether the label is then one of the V classes."""
    label = tl.load(labels + row).to(tl.int64)
    counts = label != -100
    if IGNORE:
        counts = counts & (label != ignore)
    known = counts & (label >= 0) & (label < V)
    return label.to(tl.int32), counts, known


@triton.jit
def ring_start(base, V, GRAIN: tl.constexpr):
    """The first column of the row at `base` where a load of GRAIN numbers may begin."""
    return tl.minimum(tl.cdiv(base, GRAIN) * GRAIN - base, V).to(tl.int32)


@triton.jit
def ring_tile(base, first, place, V, GRAIN: tl.constexpr, WHOLE: tl.constexpr):
    """Places of the ring: where they lie, which columns they are, which of them there are.

    WHOLE promises that neither the end of the row nor that of the ring lies among them.
    """
    column = first + place
    if WHOLE:
        at = tl.multiple_of(base + first, GRAIN) + place
    else:
        column = tl.where(column < V, column, column - V)
        at = base + column
    return at, column, place < V


@triton.jit
def logit(x):
    """The file's own function of what a head gives, here a soft cap (Gemma Team 2024)."""
    return 30.0 * (2.0 * tl.sigmoid(2.0 * x / 30.0) - 1.0)


@triton.jit
def logit_by_x(x):
    """Its derivative."""
    s = tl.sigmoid(2.0 * x / 30.0)
    return 4.0 * s * (1.0 - s)


@triton.jit
def over_columns(
    total, high, plain, logits, weights, base, first, begin, end, V,
    BLOCK: tl.constexpr, GRAIN: tl.constexpr, STAGES: tl.constexpr, WHOLE: tl.constexpr, FUNCTION: tl.constexpr,
    SMOOTHING: tl.constexpr, WEIGHTS: tl.constexpr,
):  # fmt: skip
    """Goes on from place `begin` of the ring to `end`: sums of exp(logit - high), and the highest logits.

    A load is a line of GRAIN numbers, which one thread has; its sums are brought to a new height once for all of them.
    """
    for start in tl.range(begin, end, BLOCK, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK)
        lines = tl.arange(0, BLOCK // GRAIN)[:, None] * GRAIN
        at, column, inside = ring_tile(base, first, start + lines + tl.arange(0, GRAIN)[None, :], V, GRAIN, WHOLE)
        if WHOLE:
            value = tl.load(logits + at).to(tl.float32)
        else:
            value = tl.load(logits + at, mask=inside, other=float("-inf")).to(tl.float32)
        if FUNCTION:
            # Applied as logits are read: what the head gives is kept, and the derivative is one of that.
            value = logit(value)
            if not WHOLE:
                value = tl.where(inside, value, float("-inf"))
        higher = tl.maximum(high, tl.max(value, 1))
        total = total * tl.math.exp2((high - higher) * LOG2_E)
        total += tl.sum(tl.math.exp2((value - higher[:, None]) * LOG2_E), 1)
        high = higher
        if SMOOTHING:
            # Smoothing takes the sum of the logits, too.
            if WEIGHTS:
                value = value * tl.load(weights + column, mask=inside, other=0.0)
            if WHOLE:
                plain += tl.sum(value, 1)
            else:
                plain += tl.sum(tl.where(inside, value, 0.0), 1)
    return total, high, plain


@triton.jit
def row_loss(
    logits, weights, mean_weight, base, first, label, counts, known, V, smoothing, z,
    BLOCK: tl.constexpr, GRAIN: tl.constexpr, STAGES: tl.constexpr, FUNCTION: tl.constexpr, SMOOTHING: tl.constexpr,
    WEIGHTS: tl.constexpr, Z_LOSS: tl.constexpr,
):  # fmt: skip
    """The loss of the row at `base`, and its lse: of one that does not count, numbers that mean nothing."""
    # Before the passes: behind them a row may be written over.
    chosen = tl.load(logits + base + label, mask=known, other=float("nan")).to(tl.float32)
    end = tl.where(counts, V, 0)
    whole = tl.maximum(end - first, 0) // BLOCK * BLOCK
    total = tl.zeros([BLOCK // GRAIN], tl.float32)
    high = tl.full([BLOCK // GRAIN], LOWEST, tl.float32)
    plain = tl.zeros([BLOCK // GRAIN], tl.float32)
    total, high, plain = over_columns(
        total, high, plain, logits, weights, base, first, 0, whole, V,
        BLOCK, GRAIN, STAGES, True, FUNCTION, SMOOTHING, WEIGHTS,
    )  # fmt: skip
    total, high, plain = over_columns(
        total, high, plain, logits, weights, base, first, whole, end, V,
        BLOCK, GRAIN, STAGES, False, FUNCTION, SMOOTHING, WEIGHTS,
    )  # fmt: skip

    highest = tl.max(high, 0)
    log_sum = tl.log(tl.where(counts, tl.sum(total * tl.math.exp2((high - highest) * LOG2_E), 0), 1.0))
    if FUNCTION:
        chosen = tl.where(known, logit(chosen), float("nan"))
    # lse - chosen would round off what the logits have in common.
    result = (highest - chosen) + log_sum
    if WEIGHTS:
        # weights [V], float32, is what each class counts, mean_weight [1] the mean of it.
        weight = tl.load(weights + label, mask=known, other=float("nan"))
        result = result * weight
    if SMOOTHING:
        # That part of the target is spread evenly over all classes (Szegedy et al. 2016).
        mean = tl.sum(plain, 0) / V
        if WEIGHTS:
            even = (highest + log_sum) * tl.load(mean_weight) - mean
        else:
            even = (highest - mean) + log_sum
        result = (1.0 - smoothing) * result + smoothing * even
    if Z_LOSS:
        # z * lse^2 keeps lse near 0 (Chowdhery et al. 2022).
        squared = (highest + log_sum) * (highest + log_sum)
        if WEIGHTS:
            squared = squared * weight
        result += z * squared
    return result, highest + log_sum


@triton.jit
def cross_entropy_forward(
    logits, labels, weights, mean_weight, loss, lse, row_step, V, smoothing, z, ignore,
    BLOCK: tl.constexpr, STAGES: tl.constexpr, IGNORE: tl.constexpr, FUNCTION: tl.constexpr, SMOOTHING: tl.constexpr,
    WEIGHTS: tl.constexpr, Z_LOSS: tl.constexpr,
):  # fmt: skip
    """A program has a row. logits [rows, V], `row_step` apart; labels, loss, lse [rows].

    loss and lse of a row that does not count are 0, and nothing else of it is read. A label that is no class makes NaN.
    """
    GRAIN: tl.constexpr = 128 // logits.dtype.element_ty.primitive_bitwidth
    row = tl.program_id(0)
    base = row.to(tl.int64) * row_step
    label, counts, known = counted_label(labels, row, V, ignore, IGNORE)
    first = ring_start(base, V, GRAIN)
    result, log_sum = row_loss(
        logits, weights, mean_weight, base, first, label, counts, known, V, smoothing, z,
        BLOCK, GRAIN, STAGES, FUNCTION, SMOOTHING, WEIGHTS, Z_LOSS,
    )  # fmt: skip
    tl.store(loss + row, tl.where(counts, result, 0.0))
    tl.store(lse + row, tl.where(counts, log_sum, 0.0))


@triton.jit
def over_classes(
    logits, d_logits, weights, base, first, start, V, label, lse, by_p, by_label, by_class,
    BLOCK: tl.constexpr, GRAIN: tl.constexpr, WHOLE: tl.constexpr, FUNCTION: tl.constexpr, SMOOTHING: tl.constexpr,
    WEIGHTS: tl.constexpr,
):  # fmt: skip
    """The gradient by the logits of a tile: `by_p` times their softmax, less `by_label` at the label."""
    at, column, inside = ring_tile(base, first, start + tl.arange(0, BLOCK), V, GRAIN, WHOLE)
    if WHOLE:
        value = tl.load(logits + at).to(tl.float32)
    else:
        value = tl.load(logits + at, mask=inside, other=float("-inf")).to(tl.float32)
    if FUNCTION:
        slope = logit_by_x(value)
        value = logit(value)
    change = tl.math.exp2((value - lse) * LOG2_E) * by_p - tl.where(column == label, by_label, 0.0)
    if SMOOTHING:
        # Less `by_class` everywhere.
        if WEIGHTS:
            change -= by_class * tl.load(weights + column, mask=inside, other=0.0)
        else:
            change -= by_class
    if FUNCTION:
        change = change * slope
    change = change.to(d_logits.dtype.element_ty)
    if WHOLE:
        tl.store(d_logits + at, change)
    else:
        tl.store(d_logits + at, change, mask=inside)


@triton.jit
def factors(
    weights, mean_weight, label, known, change, log_sum, V, smoothing, z,
    SMOOTHING: tl.constexpr, WEIGHTS: tl.constexpr, Z_LOSS: tl.constexpr,
):  # fmt: skip
    """What the softmax, the entry of the label and each class count in a row's gradient, of which `change` is that by
    its loss.
    """
    by_label = tl.where(known, change, float("nan"))
    if WEIGHTS:
        by_label = by_label * tl.load(weights + label, mask=known, other=float("nan"))
    by_p = by_label
    if Z_LOSS:
        by_p += by_label * (2.0 * z * log_sum)
    by_class = 0.0
    if SMOOTHING:
        by_p -= by_label * smoothing
        by_label = by_label * (1.0 - smoothing)
        by_class = change * smoothing / V
        if WEIGHTS:
            by_p += change * smoothing * tl.load(mean_weight)
        else:
            by_p += change * smoothing
    return by_p, by_label, by_class


@triton.jit
def cross_entropy_backward(
    logits, labels, weights, mean_weight, lse, d_loss, d_logits, row_step, V, smoothing, z, ignore,
    BLOCK: tl.constexpr, IGNORE: tl.constexpr, FUNCTION: tl.constexpr, SMOOTHING: tl.constexpr, WEIGHTS: tl.constexpr,
    Z_LOSS: tl.constexpr,
):  # fmt: skip
    """A program has a tile of a row. d_loss, one number, is the gradient by each row's loss.

    Rows of d_logits lie `row_step` apart as those of logits do, and it may be logits itself: each number is read and
    written by one program. A launcher may do that with logits which it made, or which nothing reads after their loss
    and whose gradient is asked for once.
    """
    GRAIN: tl.constexpr = 128 // logits.dtype.element_ty.primitive_bitwidth
    row = tl.program_id(0)
    start = tl.program_id(1) * BLOCK
    base = row.to(tl.int64) * row_step
    label, counts, known = counted_label(labels, row, V, ignore, IGNORE)
    first = ring_start(base, V, GRAIN)
    if counts:
        log_sum = tl.load(lse + row)
        change = tl.load(d_loss).to(tl.float32)
        by_p, by_label, by_class = factors(
            weights, mean_weight, label, known, change, log_sum, V, smoothing, z, SMOOTHING, WEIGHTS, Z_LOSS
        )
        if first + start + BLOCK <= V:
            over_classes(
                logits, d_logits, weights, base, first, start, V, label, log_sum, by_p, by_label, by_class,
                BLOCK, GRAIN, True, FUNCTION, SMOOTHING, WEIGHTS,
            )  # fmt: skip
        else:
            over_classes(
                logits, d_logits, weights, base, first, start, V, label, log_sum, by_p, by_label, by_class,
                BLOCK, GRAIN, False, FUNCTION, SMOOTHING, WEIGHTS,
            )  # fmt: skip
    else:
        at, _, inside = ring_tile(base, first, start + tl.arange(0, BLOCK), V, GRAIN, False)
        tl.store(d_logits + at, tl.zeros([BLOCK], d_logits.dtype.element_ty), mask=inside)


@triton.jit
def cross_entropy_in_place(
    logits, labels, weights, mean_weight, loss, row_step, V, smoothing, z, ignore,
    BLOCK: tl.constexpr, STAGES: tl.constexpr, IGNORE: tl.constexpr, FUNCTION: tl.constexpr, SMOOTHING: tl.constexpr,
    WEIGHTS: tl.constexpr, Z_LOSS: tl.constexpr,
):  # fmt: skip
    """A program has a row: its loss, and then in place of the logits the gradient by them, as if that by the loss were
    1. A row comes from memory once: what is read again is in the cache, as long as few programs are at work.
    """
    GRAIN: tl.constexpr = 128 // logits.dtype.element_ty.primitive_bitwidth
    row = tl.program_id(0)
    base = row.to(tl.int64) * row_step
    label, counts, known = counted_label(labels, row, V, ignore, IGNORE)
    first = ring_start(base, V, GRAIN)
    result, log_sum = row_loss(
        logits, weights, mean_weight, base, first, label, counts, known, V, smoothing, z,
        BLOCK, GRAIN, STAGES, FUNCTION, SMOOTHING, WEIGHTS, Z_LOSS,
    )  # fmt: skip
    tl.store(loss + row, tl.where(counts, result, 0.0))
    whole = tl.maximum(V - first, 0) // BLOCK * BLOCK
    if counts:
        by_p, by_label, by_class = factors(
            weights, mean_weight, label, known, 1.0, log_sum, V, smoothing, z, SMOOTHING, WEIGHTS, Z_LOSS
        )
        for start in tl.range(0, whole, BLOCK):
            start = tl.multiple_of(start, BLOCK)
            over_classes(
                logits, logits, weights, base, first, start, V, label, log_sum, by_p, by_label, by_class,
                BLOCK, GRAIN, True, FUNCTION, SMOOTHING, WEIGHTS,
            )  # fmt: skip
        for start in tl.range(whole, V, BLOCK):
            start = tl.multiple_of(start, BLOCK)
            over_classes(
                logits, logits, weights, base, first, start, V, label, log_sum, by_p, by_label, by_class,
                BLOCK, GRAIN, False, FUNCTION, SMOOTHING, WEIGHTS,
            )  # fmt: skip
    else:
        for start in tl.range(0, V, BLOCK):
            start = tl.multiple_of(start, BLOCK)
            at, _, inside = ring_tile(base, first, start + tl.arange(0, BLOCK), V, GRAIN, False)
            tl.store(logits + at, tl.zeros([BLOCK], logits.dtype.element_ty), mask=inside)
