"""Cross-entropy of a linear layer, which never holds all of its logits: some rows of them at a time.

The gradients are made in the forward pass, while the logits of a chunk are there, and only scaled in the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from .cross_entropy import cross_entropy_backward, cross_entropy_forward


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, class_weights: Tensor | None = None,
    smoothing: float = 0.0, z: float = 0.0, ignore: int | None = None, chunk: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean loss of hidden [.., H] @ weight [V, H].T + bias [V] against labels [..], a float32.

    Labels of -100 do not count, nor do those equal to `ignore`; where none counts, the loss is 0. `chunk` is how many
    rows of logits there are at a time.
    """
    V, H = weight.shape
    hidden, labels = hidden.reshape(-1, H), labels.reshape(-1)
    if torch.is_autocast_enabled(hidden.device.type):
        hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
    total = LinearCrossEntropy.apply(
        hidden, weight, bias, labels, class_weights, smoothing, z, ignore,
        chunk or chunk_rows(len(hidden), H, V), torch.is_grad_enabled(),
    )  # fmt: skip
    return total / divisor(labels, class_weights, ignore)


def chunk_rows(rows: int, H: int, V: int) -> int:
    """How many rows of logits take as much memory as the hidden states, or as the weight where that is more.

    Each chunk reads and writes the gradient of the weight; with fewer than H rows that would take longer than the sums.
    """
    return max(rows * H // V, H)


def divisor(labels: Tensor, class_weights: Tensor | None, ignore: int | None) -> Tensor:
    """What the sum of the losses is divided by: how many rows count, or their weights; 1 where that is 0."""
    counts = counted(labels, ignore)
    if class_weights is None:
        return counts.sum().clamp(min=1)
    total = class_weights[labels.where(counts, 0)].where(counts, 0.0).sum()
    return total.where(total != 0, 1.0)


def counted(labels: Tensor, ignore: int | None) -> Tensor:
    counts = labels != -100
    return counts if ignore is None else counts & (labels != ignore)


class LinearCrossEntropy(torch.autograd.Function):
    """The sum of the losses of hidden [rows, H]; options as in `linear_cross_entropy`."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, class_weights: Tensor | None,
        smoothing: float, z: float, ignore: int | None, chunk: int, differentiate: bool,
    ) -> Tensor:  # fmt: skip
        forward, backward = (launch_forward, launch_backward) if hidden.is_cuda else (plain_forward, plain_backward)
        rows, V = len(hidden), len(weight)
        wide = torch.promote_types(hidden.dtype, torch.float32)
        by_hidden, by_weight, by_bias = (differentiate and needed for needed in ctx.needs_input_grad[:3])
        d_hidden = torch.empty_like(hidden) if by_hidden else None
        d_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if by_weight else None
        d_bias = torch.zeros(V, dtype=wide, device=weight.device) if by_bias else None
        ctx.dtypes = weight.dtype, bias.dtype if bias is not None else None
        weight = weight.to(hidden.dtype)
        bias = bias.to(hidden.dtype) if bias is not None else None

        total = torch.zeros((), dtype=wide, device=hidden.device)
        one = torch.ones(1, dtype=wide, device=hidden.device)
        # Rows are padded: matmul is fast where each begins at an aligned address.
        buffer = hidden.new_empty(min(chunk, rows), -(-V // 16) * 16)[:, :V]
        for start in range(0, rows, chunk):
            x, y = hidden[start : start + chunk], labels[start : start + chunk]
            logits = buffer[: len(x)]
            if bias is None:
                torch.mm(x, weight.t(), out=logits)
            else:
                torch.addmm(bias, x, weight.t(), out=logits)
            loss, lse = forward(logits, y, class_weights, smoothing, z, ignore)
            total += loss.sum()
            if not (by_hidden or by_weight or by_bias):
                continue
            # As if the gradient were 1: its scale is not known yet, and small numbers would be lost in float16.
            d_logits = logits
            backward(logits, y, lse, one.expand(len(x)), d_logits, class_weights, smoothing, z, ignore)
            if d_hidden is not None:
                torch.mm(d_logits, weight, out=d_hidden[start : start + chunk])
            if d_weight is not None:
                add_product(d_weight, d_logits.t(), x)
            if d_bias is not None:
                d_bias += d_logits.sum(0, dtype=wide)
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (d_total,) = d_outputs
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        weight_dtype, bias_dtype = ctx.dtypes
        # In the dtype of d_total, which a factor without dims would lose beside a tensor of float16.
        d_hidden = None if d_hidden is None else (d_hidden.to(d_total.dtype) * d_total).to(d_hidden.dtype)
        d_weight = None if d_weight is None else (d_weight * d_total).to(weight_dtype)
        d_bias = None if d_bias is None else (d_bias * d_total).to(bias_dtype)
        return d_hidden, d_weight, d_bias, *(None,) * 7


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in the dtype of `total`."""
    if left.is_cuda and left.dtype != total.dtype:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total.addmm_(left.to(total.dtype), right.to(total.dtype))


# --- the kernels ---


def launch_forward(
    logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float, z: float, ignore: int | None
) -> tuple[Tensor, Tensor]:
    """loss and lse of each row of logits [rows, V], whose numbers lie side by side; both float32."""
    rows, V = logits.shape
    loss, lse = (torch.empty(rows, dtype=torch.float32, device=logits.device) for _ in range(2))
    # A thread has 16 bytes of a tile, or twice as many of float32.
    block = max(256, min(2048, triton.next_power_of_2(V)))
    with torch.cuda.device_of(logits):
        cross_entropy_forward[(rows,)](
            logits, labels, weights, mean_of(weights), loss, lse, logits.stride(0), V, smoothing, z, ignore or 0,
            BLOCK=block, STAGES=1, IGNORE=ignore is not None, SMOOTHING=smoothing > 0, WEIGHTS=weights is not None,
            Z_LOSS=z > 0, num_warps=block // 256,
        )  # fmt: skip
    return loss, lse


def launch_backward(
    logits: Tensor, labels: Tensor, lse: Tensor, d_loss: Tensor, d_logits: Tensor,
    weights: Tensor | None, smoothing: float, z: float, ignore: int | None,
) -> None:  # fmt: skip
    """Fills d_logits, with the strides of logits and perhaps logits itself, from d_loss [rows], of any stride."""
    rows, V = logits.shape
    # As was best on an H200, at 50,304 classes and at 131,072.
    block = max(256, min(2048 if V <= 65_536 else 8192, triton.next_power_of_2(V)))
    with torch.cuda.device_of(logits):
        cross_entropy_backward[(rows, triton.cdiv(V, block))](
            logits, labels, weights, mean_of(weights), lse, d_loss, d_logits, logits.stride(0), d_loss.stride(0), V,
            smoothing, z, ignore or 0,
            BLOCK=block, IGNORE=ignore is not None, SMOOTHING=smoothing > 0, WEIGHTS=weights is not None, Z_LOSS=z > 0,
            num_warps=min(8, block // 256),
        )  # fmt: skip


def mean_of(weights: Tensor | None) -> Tensor | None:
    return None if weights is None else weights.mean()


# --- the same in plain PyTorch ---


def plain_forward(
    logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float, z: float, ignore: int | None
) -> tuple[Tensor, Tensor]:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    counts = counted(labels, ignore)
    labels = labels.where(counts, 0)
    weight = 1.0 if weights is None else weights[labels]
    lse = logits.logsumexp(1)
    loss = (1 - smoothing) * weight * (lse - logits.gather(1, labels[:, None])[:, 0])
    if smoothing > 0:
        each = lse[:, None] - logits
        loss = loss + smoothing * (each if weights is None else each * weights).mean(1)
    if z > 0:
        loss = loss + z * weight * lse**2
    return loss.where(counts, 0.0), lse.where(counts, 0.0)


def plain_backward(
    logits: Tensor, labels: Tensor, lse: Tensor, d_loss: Tensor, d_logits: Tensor,
    weights: Tensor | None, smoothing: float, z: float, ignore: int | None,
) -> None:  # fmt: skip
    counts = counted(labels, ignore)
    labels = labels.where(counts, 0)
    weight = torch.ones_like(lse) if weights is None else weights[labels]
    softmax = (logits - lse[:, None]).exp()
    change = softmax * (weight * (1 - smoothing + 2 * z * lse))[:, None]
    change.scatter_add_(1, labels[:, None], (weight * (smoothing - 1))[:, None])
    if smoothing > 0:
        every = torch.ones_like(softmax) if weights is None else weights
        change += smoothing * (softmax * every.mean(-1, keepdim=True) - every / logits.shape[1])
    d_logits.copy_((change * d_loss[:, None]).where(counts[:, None], 0.0))
