"""Kernels of gpt.dlspec, and the plain forms that run without a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

try:
    import triton
    import triton.language as tl
    from triton.tools.tensor_descriptor import TensorDescriptor

    kernel, constant = triton.jit, tl.constexpr
except ImportError:  # without Triton the plain forms run
    triton = None

    def kernel(function: Callable) -> Callable:
        return function

    constant = kernel

# Operators are defined once in a process: an edited copy beside this file needs another name.
NAMESPACE = "gpt_429634"
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


def groups_of_rows(M: int, programs: int, blocks: int, x: Tensor) -> tuple[int, int]:
    """How many groups M rows are in, and how many rows a group has. `blocks` programs
    share a group, and a multiprocessor has so many `programs`.
    """
    if x.is_cuda:
        programs *= torch.cuda.get_device_properties(x.device).multi_processor_count
    per = triton.cdiv(M, min(M, max(1, programs // blocks)))
    return triton.cdiv(M, per), per


def cast(tensors: Sequence[Tensor], dtype: torch.dtype) -> Sequence[Tensor]:
    """Each in `dtype`, all by one kernel."""
    if all(tensor.dtype == dtype for tensor in tensors):
        return tensors
    made = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(made, tensors)
    return made


def as_rows(x: Tensor) -> Tensor:
    """[..., N] -> [M, N]"""
    return x.reshape(-1, x.shape[-1])


def product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """left @ right in `dtype`, on a GPU rounded once."""
    widens = left.is_cuda and left.dtype != dtype and dtype == torch.float32
    # What is traced stays a product and a cast, which every compiler knows.
    if widens and not torch.compiler.is_compiling():
        return torch.mm(left, right, out_dtype=dtype)
    return (left @ right).to(dtype)


def product_gradients(
    d_y: Tensor, x: Tensor, weight: Tensor, by_x: bool, by_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Of y = x @ weight.t(), by x and by weight; None of what is not asked for."""
    d_y, d_x, d_weight = as_rows(d_y), None, None
    if by_x:
        d_x = (d_y @ weight.to(d_y.dtype)).view_as(x)
    if by_weight:
        d_weight = product(d_y.t(), as_rows(x), weight.dtype)
    return d_x, d_weight


def is_plain(layer: nn.Linear) -> bool:
    """Whether nothing was put around a layer or in place of what it has."""
    before = layer._forward_pre_hooks or layer._backward_pre_hooks
    behind = layer._forward_hooks or layer._backward_hooks
    everywhere = torch.nn.modules.module._has_any_global_hook()
    # Where it is computed (a parametrization), looking at it would compute it.
    own = type(layer._parameters.get("weight")) is nn.Parameter
    own = own and "forward" not in vars(layer)
    return own and not (before or behind or everywhere)


def one_product(x: Tensor, layers: Sequence[nn.Module], bias: bool) -> bool:
    """Whether linear layers may be done in one go: on a GPU, where calling each of them is its
    product, with a bias or without, and nothing else. A hook, a wrapper, a parametrization or a
    weight of another kind (DTensor, quantised) has to see its own layer called.
    """
    return (
        fused(x)
        and all(type(layer) is nn.Linear and is_plain(layer) for layer in layers)
        and all((layer.bias is not None) is bias for layer in layers)
    )


def generation(x: Tensor) -> int:
    """Of the GPU of `x`, as tables of tiles know it: 9 on Hopper, else 8."""
    if torch.version.hip is not None or not x.is_cuda:
        return 8
    return 9 if torch.cuda.get_device_capability(x.device)[0] == 9 else 8


def room_for_sum(x: Tensor, branch: Tensor | None) -> Tensor:
    """For x + branch; nothing where there is no branch."""
    if branch is None:
        return x.new_empty(0)
    return x.new_empty(x.shape, dtype=torch.promote_types(x.dtype, branch.dtype))


def rows(x: Tensor) -> Tensor:
    """[B, T, heads, width] with rows evenly apart and a head's numbers side by side."""
    _, T, _, width = x.shape
    row = x.stride(1)
    even = x.stride() == (T * row, row, width, 1)
    if not even or row % 8 != 0:
        # Where an axis has one entry, what PyTorch calls contiguous may have any stride.
        x = x.contiguous().flatten().view(x.shape)
    # What is read in tiles begins at 16 bytes, as memory of its own does.
    return x if x.data_ptr() % 16 == 0 else x.clone()


def tiles_of(x: Tensor, count: int, described: bool) -> Tensor | TensorDescriptor:
    """What a kernel reads [count, width] of a head from."""
    B, T, heads, width = x.shape
    if not described:
        return x
    row = x.stride(1)
    return TensorDescriptor(x, [B * T, heads * width], [row, 1], [count, width])


def tiles(cut: dict, x: Tensor) -> tuple[int, int, int, int, bool]:
    """How an attention is cut on the GPU of `x`, in its dtype."""
    return cut[generation(x)][x.element_size()]


def side_by_side(dtype: torch.dtype, *groups: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of each group one below the other, all cast on their way by one kernel."""
    rooms: list[Tensor] = []
    places: list[Tensor] = []
    for group in groups:
        sizes = [len(tensor) for tensor in group]
        room = group[0].new_empty((sum(sizes), *group[0].shape[1:]), dtype=dtype)
        rooms.append(room)
        places += room.split(sizes)
    torch._foreach_copy_(places, [tensor for group in groups for tensor in group])
    return rooms


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Parts of rows as whole rows [M, N], copied only where they do not lie so already."""
    widths = [part.shape[-1] for part in parts]
    size = (*parts[0].shape[:-1], sum(widths))
    base = None if torch.compiler.is_compiling() else parts[0]._base
    if base is not None and base.is_contiguous() and base.numel() == math.prod(size):
        whole = base.view(size)
        for part, place in zip(parts, whole.split(widths, -1)):
            at = part.storage_offset(), part.stride()
            if part._base is not base or at != (place.storage_offset(), place.stride()):
                break
        else:
            return as_rows(whole)
    return as_rows(torch.cat(parts, -1))


def warps(threads: int) -> int:
    """How many they are: of 64 threads each on AMD, else of 32."""
    return max(1, threads // (64 if torch.version.hip is not None else 32))


def hold_labels(labels: Tensor, rows: int) -> None:
    """Raises ValueError where PyTorch refuses labels: kernels read what memory holds."""
    if len(labels) != rows:
        raise ValueError(f"{rows} rows of logits, but {len(labels)} labels")
    if labels.dtype not in (torch.int64, torch.uint8):
        raise ValueError(f"labels are torch.int64, not {labels.dtype}")


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


# What stands around the product of a linear layer, [M, N]: the sums of its columns,
# which are the gradient of a bias, and an activation behind it, whose backward pass
# takes these sums on its way.
#
# Sums over rows are taken in parts, in a fixed order. All is computed in float32, and
# rounded where it is stored.


@kernel
def sum_columns(x, sums, row_step, M, N, per, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Sums of columns of x, whose rows lie `row_step` apart, in parts: sums [parts, N].
    A program takes BLOCK columns of `per` rows, ROWS at a time.
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


def sum_of_parts(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """[parts, N] -> [N]"""
    groups, N = parts.shape
    sums = torch.empty(N, dtype=dtype, device=parts.device)
    with torch.cuda.device_of(parts):
        sum_columns[(triton.cdiv(N, 32), 1)](
            parts, sums, N, groups, N, groups, ROWS=64, BLOCK=32, num_warps=4
        )
    return sums


def launch_column_sums(x: Tensor, dtype: torch.dtype) -> Tensor:
    x = x if x.stride(1) == 1 else x.contiguous()
    M, N = x.shape
    blocks = triton.cdiv(N, 128)
    groups, per = groups_of_rows(M, 8, blocks, x)
    parts = torch.empty((groups, N), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        sum_columns[(blocks, groups)](
            x,
            parts,
            x.stride(0),
            M,
            N,
            per,
            ROWS=32,
            BLOCK=128,
            num_warps=4,
        )
    return sum_of_parts(parts, dtype)


def column_sums_shapes(x, dtype):
    return x.new_empty(x.shape[1:], dtype=dtype)


operator(
    "column_sums(Tensor x, ScalarType dtype) -> Tensor",
    launch_column_sums,
    column_sums_shapes,
)


def column_sums(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x [M, N] -> [N], summed in float32 and rounded once, fused where there is a GPU."""
    if not fused(x):
        return x.sum(0, dtype=dtype)
    return operators.column_sums(x, dtype)


class BiasedLinear(torch.autograd.Function):
    """[..., in] -> [M, out]: to a view that is made in here nobody may write."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        ctx.dtype = bias.dtype
        return F.linear(as_rows(x), *cast((weight, bias), x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx, d_y):
        x, weight = ctx.saved_tensors
        by_x, by_weight, by_bias = ctx.needs_input_grad
        d_x, d_weight = product_gradients(d_y, x, weight, by_x, by_weight)
        d_bias = column_sums(d_y, ctx.dtype) if by_bias else None
        return d_x, d_weight, d_bias


class Linear(nn.Linear):
    """nn.Linear, whose bias gets its gradient from a kernel: [..., in] -> [..., out]"""

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        # A weight of another kind (DTensor, quantised) knows itself what a product is.
        own = type(weight) in (nn.Parameter, Tensor) and bias is not None
        if not own or not fused(x):
            return F.linear(x, weight, bias)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        y = BiasedLinear.apply(x, weight, bias)
        return y.view(*x.shape[:-1], len(weight))


@kernel
def activation(x):
    """The function gelu_tanh."""
    return (
        0.5
        * x
        * (
            1.0
            + (
                2.0
                * tl.sigmoid(2.0 * (0.7978845608028654 * (x + 0.044715 * (x * x * x))))
                - 1.0
            )
        )
    )


# What stands around the product of a linear layer, [M, N]: the sums of its columns,
# which are the gradient of a bias, and an activation behind it, whose backward pass
# takes these sums on its way.
#
# Sums over rows are taken in parts, in a fixed order. All is computed in float32, and
# rounded where it is stored.


@kernel
def activation_forward(x, y, size, BLOCK: tl.constexpr):
    """x and y have `size` entries."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + at, activation(value).to(y.dtype.element_ty), mask=inside)


@kernel
def activation_by_x(x):
    """Its derivative."""
    return 0.5 * (
        1.0
        + (
            2.0 * tl.sigmoid(2.0 * (0.7978845608028654 * (x + 0.044715 * (x * x * x))))
            - 1.0
        )
    ) + 0.5 * x * (
        0.7978845608028654
        * (1.0 + 0.044715 * (3.0 * (x * x)))
        * (
            1.0
            - (
                2.0
                * tl.sigmoid(2.0 * (0.7978845608028654 * (x + 0.044715 * (x * x * x))))
                - 1.0
            )
            * (
                2.0
                * tl.sigmoid(2.0 * (0.7978845608028654 * (x + 0.044715 * (x * x * x))))
                - 1.0
            )
        )
    )


@kernel
def activation_backward(
    x, d_y, d_x, sums, M, N, per, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """d_x, and the sums of its columns in parts: sums [parts, N]. A program takes BLOCK
    columns of `per` rows, ROWS at a time.
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


def launch_activation_forward(x: Tensor) -> Tensor:
    x = x.contiguous()
    y, size = torch.empty_like(x), x.numel()
    with torch.cuda.device_of(x):
        activation_forward[(triton.cdiv(size, 4096),)](
            x, y, size, BLOCK=4096, num_warps=8
        )
    return y


def launch_activation_backward(
    d_y: Tensor, x: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    d_y, x = d_y.contiguous(), x.contiguous()
    N = x.shape[-1]
    d_x, M = torch.empty_like(x), x.numel() // N
    blocks = triton.cdiv(N, 128)
    groups, per = groups_of_rows(M, 8, blocks, x)
    parts = torch.empty((groups, N), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        activation_backward[(blocks, groups)](
            x, d_y, d_x, parts, M, N, per, ROWS=16, BLOCK=128, num_warps=4
        )
    return d_x, sum_of_parts(parts, dtype)


def activation_forward_shapes(x):
    return x.new_empty(x.shape)


def activation_backward_shapes(d_y, x, dtype):
    return x.new_empty(x.shape), x.new_empty(x.shape[-1:], dtype=dtype)


operator(
    "activation_forward(Tensor x) -> Tensor",
    launch_activation_forward,
    activation_forward_shapes,
)
operator(
    "activation_backward(Tensor d_y, Tensor x, ScalarType dtype) -> (Tensor, Tensor)",
    launch_activation_backward,
    activation_backward_shapes,
)


class ActivatedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        z = F.linear(x, *cast((weight, bias), x.dtype))
        ctx.save_for_backward(x, weight, z)
        return operators.activation_forward(z)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_y):
        x, weight, z = ctx.saved_tensors
        by_x, by_weight, _ = ctx.needs_input_grad
        d_z, d_bias = operators.activation_backward(d_y, z, weight.dtype)
        return *product_gradients(d_z, x, weight, by_x, by_weight), d_bias


def gelu_tanh_linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """gelu_tanh of what a linear layer makes of x. Where there is a GPU, the pass that makes
    the gradient of that sums it for the bias as well.
    """
    if not one_product(x, [layer], bias=True):
        x = layer(x)
        return F.gelu(x, approximate="tanh")
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    return ActivatedLinear.apply(x, layer.weight, layer.bias)


NORM_WIDTH = constant(768)


@kernel
def kept(seed, query, key, plane, T, drop):
    """What dropout keeps: by places alone, so that every pass and every size of tile
    has the same.

    Philox gives each query a number of 32 bits, and a hash of that and the key
    (lowbias32, Wellons 2018) decides: whole rounds of Philox for each pair would take
    longer than all else.
    """
    row = tl.randint(seed, plane.to(tl.int64) * T + query, n_rounds=7).to(
        tl.uint32, bitcast=True
    )
    bits = row ^ (key.to(tl.uint32) * 0x9E3779B9)
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    bits = bits ^ (bits >> 16)
    return bits >= (tl.zeros([1, 1], tl.float32) + drop * 4294967296.0).to(tl.uint32)


@kernel
def norm_dropped(value, seed, rows, columns, drop):
    """Dropout by the places of entries alone: backward drops what forward dropped,
    whatever the tiles.
    """
    keep = kept(seed, 0, columns, rows, 1, drop)
    return tl.where(keep, value * (1.0 / (1.0 - drop)), 0.0)


@kernel
def norm_entries(source, at, inside):
    """In float32; 0 outside."""
    return tl.load(source + at, mask=inside, other=0.0).to(tl.float32)


# Norms of rows, forward: LayerNorm and RMSNorm.
#
# x and y are [M, NORM_WIDTH], what is learnt [NORM_WIDTH], and what backward needs of a
# row [M], in float32. Each tensor may have a dtype of its own: what is computed is
# float32, and rounded where it is stored.


@kernel
def norm_incoming(
    x,
    residual,
    total,
    at,
    inside,
    rows,
    columns,
    seed,
    drop,
    ADD: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """A tile of what is to be normed."""
    value = norm_entries(x, at, inside)
    if DROPOUT:
        value = norm_dropped(value, seed, rows, columns, drop)
    if ADD:
        # `total`, what the residual stream is from here on, is normed as it is stored.
        value += norm_entries(residual, at, inside)
        stored = value.to(total.dtype.element_ty)
        tl.store(total + at, stored, mask=inside)
        value = stored.to(tl.float32)
    return value


@kernel
def norm_gains(weight, columns):
    """What each column is multiplied by."""
    gain = norm_entries(weight, columns, columns < NORM_WIDTH)
    return gain


@kernel
def norm_scaled(normed, weight, bias, columns):
    """What is learnt of each column, applied."""
    normed = normed * norm_gains(weight, columns)
    normed += norm_entries(bias, columns, columns < NORM_WIDTH)
    return normed


@kernel
def norm_forward(
    x,
    residual,
    weight,
    bias,
    total,
    y,
    mean,
    rstd,
    M,
    eps,
    seeds,
    drop,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    ADD: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """A program has ROWS whole rows; BLOCK is the power of two that NORM_WIDTH fits
    in.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    rows = row[:, None]
    columns = tl.arange(0, BLOCK)[None, :]
    inside = (rows < M) & (columns < NORM_WIDTH)
    at = rows.to(tl.int64) * NORM_WIDTH + columns
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)
    value = norm_incoming(
        x, residual, total, at, inside, rows, columns, seed, drop, ADD, DROPOUT
    )
    middle = tl.sum(value, 1) / NORM_WIDTH
    tl.store(mean + row, middle, mask=row < M)
    value = tl.where(columns < NORM_WIDTH, value - middle[:, None], 0.0)
    scale = tl.rsqrt(tl.sum(value * value, 1) / NORM_WIDTH + eps)
    tl.store(rstd + row, scale, mask=row < M)
    result = norm_scaled(value * scale[:, None], weight, bias, columns)
    tl.store(y + at, result.to(y.dtype.element_ty), mask=inside)


# Norms of rows, backward, without atomics: sums over rows are taken in parts, in an
# order that is fixed.
#
# x is what was normed. Of a tile, `normed` is what came of it but for what is learnt,
# and `change` the gradient by that. What of a change would only stretch a row has no
# effect, and is taken off: normed * mean(change * normed).


@kernel
def norm_tile(x, d_y, at, inside, middle, scale):
    """The gradient by y, and `normed`. `scale` is rstd, shaped to spread over the
    tile.
    """
    gradient = norm_entries(d_y, at, inside)
    value = norm_entries(x, at, inside)
    value = value - middle
    return gradient, value * scale


@kernel
def norm_backward(
    x,
    d_y,
    d_total,
    weight,
    mean,
    rstd,
    d_x,
    d_branch,
    d_weight,
    d_bias,
    M,
    per,
    seeds,
    drop,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    STREAM: tl.constexpr,
    BRANCH: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """A program takes `per` rows, ROWS at a time; parts of sums over rows are
    [parts, NORM_WIDTH], in float32.
    """
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    d_gain = tl.zeros([ROWS, BLOCK], tl.float32)
    gain = norm_gains(weight, columns)
    d_shift = tl.zeros([ROWS, BLOCK], tl.float32)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)
    first = tl.program_id(0) * per
    last = tl.minimum(first + per, M)
    for start in tl.range(first, last, ROWS, num_stages=STAGES):
        row = start + tl.arange(0, ROWS)
        rows = row[:, None]
        inside = (rows < last) & (columns < NORM_WIDTH)
        at = rows.to(tl.int64) * NORM_WIDTH + columns
        scale = tl.load(rstd + row, mask=row < last, other=0.0)[:, None]
        middle = tl.load(mean + row, mask=row < last, other=0.0)[:, None]
        change, normed = norm_tile(x, d_y, at, inside, middle, scale)
        d_shift += change
        d_gain += change * normed
        change = change * gain
        stretch = tl.sum(change * normed, 1)[:, None] / NORM_WIDTH
        shift = tl.sum(change, 1)[:, None] / NORM_WIDTH
        change = change - normed * stretch
        change = change - shift
        change = change * scale
        if STREAM:
            # x went on in the residual stream, too.
            change += norm_entries(d_total, at, inside)
        tl.store(d_x + at, change.to(d_x.dtype.element_ty), mask=inside)
        if BRANCH:
            # What was added to the stream differs from it by dropout, or by its dtype.
            if DROPOUT:
                change = norm_dropped(change, seed, rows, columns, drop)
            tl.store(d_branch + at, change.to(d_branch.dtype.element_ty), mask=inside)

    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    part = tl.program_id(0) * NORM_WIDTH + column
    tl.store(d_weight + part, tl.sum(d_gain, 0), mask=column < NORM_WIDTH)
    tl.store(d_bias + part, tl.sum(d_shift, 0), mask=column < NORM_WIDTH)


@kernel
def norm_sum_parts(parts, out, P, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """out [N, NORM_WIDTH] is the sum of parts [N, P, NORM_WIDTH]. A program has
    BLOCK columns and takes ROWS parts at a time.
    """
    parts += tl.program_id(1) * P * NORM_WIDTH
    out += tl.program_id(1) * NORM_WIDTH
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for start in tl.range(0, P, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]
        inside = (rows < P) & (columns[None, :] < NORM_WIDTH)
        total += tl.load(
            parts + rows * NORM_WIDTH + columns[None, :], mask=inside, other=0.0
        )
    tl.store(
        out + columns,
        tl.sum(total, 0).to(out.dtype.element_ty),
        mask=columns < NORM_WIDTH,
    )


# By the bytes of a number: rows and columns of a tile, warps.
NORM_FORWARD = {2: (4, 1024, 4), 4: (4, 1024, 4)}
# By generation, too: rows, columns, warps, stages, programs for each multiprocessor.
NORM_BACKWARD = {
    9: {2: (8, 1024, 8, 3, 1), 4: (4, 1024, 8, 3, 1)},
    8: {2: (4, 1024, 4, 3, 1), 4: (1, 1024, 2, 3, 1)},
}


def launch_norm_forward(
    x: Tensor,
    branch: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    drop: float,
    seed: Tensor | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x = x.contiguous()
    branch = None if branch is None else branch.contiguous()
    M = x.numel() // weight.numel()
    total = room_for_sum(x, branch)
    y = torch.empty(x.shape, dtype=dtype, device=x.device)
    mean = torch.empty(M, dtype=torch.float32, device=x.device)
    rstd = torch.empty(M, dtype=torch.float32, device=x.device)
    rows, block, warps = NORM_FORWARD[x.element_size()]
    with torch.cuda.device_of(x):
        norm_forward[(triton.cdiv(M, rows),)](
            x if branch is None else branch,
            x,
            weight,
            bias,
            total,
            y,
            mean,
            rstd,
            M,
            eps,
            seed,
            drop,
            ROWS=rows,
            BLOCK=block,
            ADD=branch is not None,
            DROPOUT=seed is not None,
            num_warps=warps,
        )
    return total, y, mean, rstd


def launch_norm_backward(
    d_total: Tensor | None,
    d_y: Tensor,
    total: Tensor,
    weight: Tensor,
    mean: Tensor,
    rstd: Tensor,
    drop: float,
    seed: Tensor | None,
    branch_dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    d_y, total = d_y.contiguous(), total.contiguous()
    width = weight.numel()
    M = rstd.numel()
    d_x = torch.empty_like(total)
    d_total = None if d_total is None else d_total.contiguous()
    narrower = branch_dtype != total.dtype or seed is not None
    # Else it is that of the sum, too.
    size = total.shape if narrower else (0,)
    d_branch = torch.empty(size, dtype=branch_dtype, device=total.device)
    rows, block, warps, stages, programs = NORM_BACKWARD[generation(total)][
        total.element_size()
    ]
    blocks = triton.cdiv(width, block)
    groups, per = groups_of_rows(M, programs, blocks, total)
    parts = torch.empty((2, groups, width), dtype=torch.float32, device=total.device)
    d_learned = torch.empty((2, width), dtype=weight.dtype, device=total.device)
    with torch.cuda.device_of(total):
        norm_backward[(groups, blocks)](
            total,
            d_y,
            d_total,
            weight,
            mean,
            rstd,
            d_x,
            d_branch,
            parts[0],
            parts[1],
            M,
            per,
            seed,
            drop,
            ROWS=rows,
            BLOCK=block,
            STAGES=stages,
            STREAM=d_total is not None,
            BRANCH=narrower,
            DROPOUT=seed is not None,
            num_warps=warps,
        )
        norm_sum_parts[(triton.cdiv(width, 32), 2)](
            parts, d_learned, groups, ROWS=64, BLOCK=32
        )
    return d_x, d_branch, d_learned


def norm_forward_shapes(x, branch, weight, bias, eps, drop, seed, dtype):
    total = room_for_sum(x, branch)
    y = x.new_empty(x.shape, dtype=dtype)
    mean = x.new_empty((x.numel() // weight.numel(),), dtype=torch.float32)
    rstd = x.new_empty((x.numel() // weight.numel(),), dtype=torch.float32)
    return total, y, mean, rstd


def norm_backward_shapes(
    d_total, d_y, total, weight, mean, rstd, drop, seed, branch_dtype
):
    d_x = total.new_empty(total.shape)
    size = (0,) if branch_dtype == total.dtype and seed is None else total.shape
    d_branch = total.new_empty(size, dtype=branch_dtype)
    d_learned = weight.new_empty((2, weight.numel()))
    return d_x, d_branch, d_learned


operator(
    "norm_forward(Tensor x, Tensor? branch, Tensor weight, Tensor bias, float eps, float drop, Tensor? seed, ScalarType dtype) -> (Tensor, Tensor, Tensor, Tensor)",
    launch_norm_forward,
    norm_forward_shapes,
)
operator(
    "norm_backward(Tensor? d_total, Tensor d_y, Tensor total, Tensor weight, Tensor mean, Tensor rstd, float drop, Tensor? seed, ScalarType branch_dtype) -> (Tensor, Tensor, Tensor)",
    launch_norm_backward,
    norm_backward_shapes,
)


class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, branch, weight, bias, eps, drop, seed, dtype):
        total, y, mean, rstd = operators.norm_forward(
            x, branch, weight, bias, eps, drop, seed, dtype
        )
        ctx.save_for_backward(x if branch is None else total, weight, mean, rstd, seed)
        ctx.drop = drop
        ctx.branch_dtype = x.dtype if branch is None else branch.dtype
        ctx.added = branch is not None
        # The sum may go nowhere else: then it has no gradient.
        ctx.set_materialize_grads(False)
        return total, y

    @staticmethod
    @once_differentiable
    def backward(ctx, d_total, d_y):
        total, weight, mean, rstd, seed = ctx.saved_tensors
        is_used = d_y is not None
        d_y = d_y if is_used else torch.zeros_like(total)
        d_total = d_total if ctx.added else None
        d_x, d_branch, d_learned = operators.norm_backward(
            d_total, d_y, total, weight, mean, rstd, ctx.drop, seed, ctx.branch_dtype
        )
        if ctx.branch_dtype == total.dtype and seed is None:
            d_branch = d_x
        if not ctx.added:
            d_branch = None
        d_weight, d_bias = d_learned.unbind() if is_used else (None, None)
        return d_x, d_branch, d_weight, d_bias, None, None, None, None


def add_layer_norm(
    x: Tensor,
    branch: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    drop: float,
) -> tuple[Tensor, Tensor]:
    """LayerNorm (Ba et al. 2016), fused where there is a GPU and rows are 768 wide.

    x, branch -> total, y, all [..., width]; total = x + branch is what is normed.
    """
    fits = (
        x.shape[-1] == len(weight) == 768
        and (branch is None or branch.shape == x.shape)
        and bias is not None
    )
    if not (fits and fused(x)):
        if drop > 0 and branch is not None:
            branch = F.dropout(branch, drop)
        total = x if branch is None else x + branch
        return total, F.layer_norm(total, weight.shape, weight, bias, eps)
    dtype = x.dtype
    if torch.is_autocast_enabled(x.device.type):
        # As the products round it that it goes into.
        dtype = torch.get_autocast_dtype(x.device.type)
    seed = None
    if drop > 0 and branch is not None:
        seed = torch.randint(2**62, (1,), device=x.device)
    total, y = Norm.apply(x, branch, weight, bias, eps, drop, seed, dtype)
    return x if branch is None else total, y


class AddLayerNorm(nn.LayerNorm):
    """x + branch, and its LayerNorm (Ba et al. 2016): [..., 768] -> [..., 768]"""

    def __init__(
        self, dim: int, eps: float = 1e-5, bias: bool = True, *, drop: float
    ) -> None:
        super().__init__(dim, eps=eps, bias=bias)
        self.drop = drop

    def forward(self, x: Tensor, branch: Tensor | None) -> tuple[Tensor, Tensor]:
        drop = self.drop if self.training else 0.0
        return add_layer_norm(x, branch, self.weight, self.bias, self.eps, drop)


LOG2_E = constant(1.4426950408889634)
"""Exponentials are taken to the base of two, the hardware's own."""
WIDTH = constant(64)
PADDED = constant(64)


@kernel
def block_and_plane(blocks):
    """Which block a program has, and of which head of all the batch's: a launch has
    65,535 programs at most along any of its axes but the first, which has them all
    here.
    """
    program = tl.program_id(0)
    return program % blocks, program // blocks


@kernel
def tile(
    source,
    first,
    head,
    end,
    row,
    ROWS: tl.constexpr,
    DESCRIBED: tl.constexpr,
    INSIDE: tl.constexpr,
):
    """[ROWS, PADDED] of one head from row `first` on.

    `source` is [rows, heads * WIDTH], PADDED the power of two that WIDTH fits in.
    """
    if DESCRIBED:
        # `source` is a tensor descriptor; the rows of the next batch may come along,
        # for the caller to mask.
        return source.load([first.to(tl.int32), head * WIDTH])
    else:
        # Rows lie `row` apart.
        rows = tl.arange(0, ROWS)
        columns = tl.arange(0, PADDED)
        at = (
            source
            + first.to(tl.int64) * row
            + head * WIDTH
            + rows[:, None] * row
            + columns[None, :]
        )
        if INSIDE:
            # The caller knows that no row reaches `end`.
            return tl.load(at)
        else:
            return tl.load(at, mask=rows[:, None] < end - first, other=0.0)


@kernel
def keys_seen(top, S, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """Where a tile of queries looks: from where to where all of them see all, and
    where some see some.
    """
    last = tl.minimum(S, top + BLOCK_M)
    whole_end = tl.minimum(S, top + 1)
    whole = 0
    whole_end = tl.maximum(whole, whole_end // BLOCK_N * BLOCK_N)
    return whole, whole_end, last


@kernel
def visible(query, key, S):
    """Which keys a query may see."""
    seen = key < S
    earlier = key <= query
    seen = seen & earlier
    return seen


# Attention, forward: softmax(q k^T) v in one pass over the keys (Dao 2023; Milakov and
# Gimelshein 2018).
#
# A program has BLOCK_M queries of one head and walks over the keys that they see,
# BLOCK_N at a time; keys that none of them sees are never read, and only tiles where
# some see and some do not are masked. For the backward pass it leaves
# log2(sum(exp(score))) of each query, in `lse`; of one that sees no key, infinity.


@kernel
def over_keys(
    sums,
    total,
    highest,
    queries,
    k,
    v,
    k_row,
    v_row,
    batch,
    head,
    kv_head,
    query,
    first,
    last,
    T,
    S,
    scale,
    heads,
    seed,
    drop,
    BLOCK_N: tl.constexpr,
    DESCRIBED: tl.constexpr,
    STAGES: tl.constexpr,
    MASKED: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """Goes on from key `first` to `last`: sums of values, sums of weights and the
    highest score of each query.
    """
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        end = (batch + 1) * S
        keys = tile(
            k, batch * S + start, kv_head, end, k_row, BLOCK_N, DESCRIBED, not MASKED
        )
        s = tl.dot(queries, keys.T, input_precision="ieee")
        key = start + tl.arange(0, BLOCK_N)[None, :]
        factor = scale * LOG2_E
        if MASKED:
            seen = visible(query, key, S)
            s = tl.where(seen, s, float("-inf"))
        higher = tl.maximum(highest, tl.max(s, 1) * factor)
        p = tl.math.exp2(s * factor - higher[:, None])
        shrink = tl.math.exp2(highest - higher)
        total = total * shrink + tl.sum(p, 1)
        if DROPOUT:
            p = tl.where(kept(seed, query, key, batch * heads + head, T, drop), p, 0.0)
        sums = sums * shrink[:, None]
        values = tile(
            v, batch * S + start, kv_head, end, v_row, BLOCK_N, DESCRIBED, not MASKED
        )
        sums = tl.dot(p.to(values.dtype), values, sums, input_precision="ieee")
        highest = higher
    return sums, total, highest


@kernel
def attention_forward(
    q,
    k,
    v,
    out,
    lse,
    q_row,
    k_row,
    v_row,
    T,
    S,
    heads,
    scale,
    seeds,
    drop,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    DESCRIBED: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """q [B, T, heads, WIDTH], k [B, S, kv_heads, WIDTH]; out and v likewise, WIDTH
    wide; lse [B, heads, T].
    """
    blocks = tl.cdiv(T, BLOCK_M)
    block, plane = block_and_plane(blocks)
    # The longest rows first: what is short fills the gaps at the end.
    block = blocks - 1 - block
    batch = plane // heads
    head = plane % heads
    top = block * BLOCK_M
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    queries = tile(
        q, batch * T + top, head, (batch + 1) * T, q_row, BLOCK_M, DESCRIBED, False
    )
    highest = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    sums = tl.zeros([BLOCK_M, PADDED], tl.float32)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)

    whole, whole_end, last = keys_seen(top, S, BLOCK_M, BLOCK_N)
    sums, total, highest = over_keys(
        sums,
        total,
        highest,
        queries,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        head,
        query,
        whole,
        whole_end,
        T,
        S,
        scale,
        heads,
        seed,
        drop,
        BLOCK_N,
        DESCRIBED,
        STAGES,
        False,
        DROPOUT,
    )
    sums, total, highest = over_keys(
        sums,
        total,
        highest,
        queries,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        head,
        query,
        whole_end,
        last,
        T,
        S,
        scale,
        heads,
        seed,
        drop,
        BLOCK_N,
        DESCRIBED,
        STAGES,
        True,
        DROPOUT,
    )

    if DROPOUT:
        sums = sums * (1.0 / (1.0 - drop))
    ends = highest + tl.math.log2(total)
    sums = sums / total[:, None]
    columns = tl.arange(0, PADDED)[None, :]
    at = out + ((batch * T + query).to(tl.int64) * heads + head) * WIDTH + columns
    tl.store(at, sums.to(out.dtype.element_ty), mask=(query < T) & (columns < WIDTH))
    tl.store(lse + (batch * heads + head) * T + rows, ends, mask=rows < T)


# Attention, backward, without atomics: one pass over the queries for keys and values,
# one over the keys for queries.
#
# Scores are computed again from `lse`; each gradient is summed by one program in a
# fixed order, so that it is the same in every run. `delta` is sum(out * d_out) of each
# query, `attention_delta` computes it. Rows of the gradients lie `d_q_row` apart, and
# those of keys and values `d_k_row`: all three may be parts of the same rows.


@kernel
def attention_delta(out, d_out, delta, T, heads, BLOCK_M: tl.constexpr):
    """out, d_out [B, T, heads, WIDTH]; delta [B, heads, T]."""
    block, plane = block_and_plane(tl.cdiv(T, BLOCK_M))
    batch = plane // heads
    head = plane % heads
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, PADDED)[None, :]
    at = ((batch * T + rows[:, None]).to(tl.int64) * heads + head) * WIDTH + columns
    inside = (rows[:, None] < T) & (columns < WIDTH)
    products = tl.load(out + at, mask=inside, other=0.0).to(tl.float32)
    products = products * tl.load(d_out + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(
        delta + (batch * heads + head) * T + rows, tl.sum(products, 1), mask=rows < T
    )


@kernel
def weights_again(dots, ends, query, key, S, scale, MASKED: tl.constexpr):
    """The weights that the softmax made of `dots`, q k^T. `ends` is lse, shaped to
    spread over it.
    """
    p = tl.math.exp2(dots * (scale * LOG2_E) - ends)
    if MASKED:
        seen = visible(query, key, S)
        p = tl.where(seen, p, 0.0)
    return p


@kernel
def over_queries(
    d_k,
    d_v,
    keys,
    values,
    q,
    d_out,
    lse,
    delta,
    q_row,
    d_out_row,
    batch,
    head,
    key,
    first,
    last,
    T,
    S,
    scale,
    heads,
    seed,
    drop,
    BLOCK_M: tl.constexpr,
    DESCRIBED: tl.constexpr,
    STAGES: tl.constexpr,
    MASKED: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """Goes on from query `first` to `last` with the gradients of keys and values.
    Scores lie on their side: [N, M].
    """
    for start in tl.range(first, last, BLOCK_M, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_M)
        end = (batch + 1) * T
        rows = start + tl.arange(0, BLOCK_M)
        query = rows[None, :]
        at = (batch * heads + head) * T + rows
        queries = tile(
            q, batch * T + start, head, end, q_row, BLOCK_M, DESCRIBED, not MASKED
        )
        changes = tile(
            d_out,
            batch * T + start,
            head,
            end,
            d_out_row,
            BLOCK_M,
            DESCRIBED,
            not MASKED,
        )
        if MASKED:
            ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
            deltas = tl.load(delta + at, mask=rows < T, other=0.0)
        else:
            ends = tl.load(lse + at)
            deltas = tl.load(delta + at)
        dots = tl.dot(keys, queries.T, input_precision="ieee")
        p = weights_again(dots, ends[None, :], query, key, S, scale, MASKED)
        d_p = tl.dot(values, changes.T, input_precision="ieee")
        if DROPOUT:
            keep = kept(seed, query, key, batch * heads + head, T, drop)
            dropped = tl.where(keep, p * (1.0 / (1.0 - drop)), 0.0)
            d_p = tl.where(keep, d_p * (1.0 / (1.0 - drop)), 0.0)
        else:
            dropped = p
        d_v = tl.dot(dropped.to(changes.dtype), changes, d_v, input_precision="ieee")
        change = p * (d_p - deltas[None, :])
        d_k = tl.dot(change.to(queries.dtype), queries, d_k, input_precision="ieee")
    return d_k, d_v


@kernel
def attention_backward_keys(
    q,
    k,
    v,
    d_out,
    lse,
    delta,
    d_k_out,
    d_v_out,
    q_row,
    k_row,
    v_row,
    d_out_row,
    d_k_row,
    T,
    S,
    heads,
    scale,
    seeds,
    drop,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    DESCRIBED: tl.constexpr,
    RAGGED: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """A program has BLOCK_N keys of one head and walks over the queries that see
    them.
    """
    blocks = tl.cdiv(S, BLOCK_N)
    block, plane = block_and_plane(blocks)
    batch = plane // heads
    kv_head = plane % heads
    top = block * BLOCK_N
    columns = top + tl.arange(0, BLOCK_N)
    key = columns[:, None]
    end = (batch + 1) * S
    keys = tile(k, batch * S + top, kv_head, end, k_row, BLOCK_N, DESCRIBED, False)
    values = tile(v, batch * S + top, kv_head, end, v_row, BLOCK_N, DESCRIBED, False)
    d_k = tl.zeros([BLOCK_N, PADDED], tl.float32)
    d_v = tl.zeros([BLOCK_N, PADDED], tl.float32)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)

    whole = top + BLOCK_N - 1
    # Queries from `first` on may see these keys, and those from `whole` to `whole_end`
    # see all of them.
    first = tl.maximum(top, 0) // BLOCK_M * BLOCK_M
    whole = tl.maximum(first, tl.cdiv(whole, BLOCK_M) * BLOCK_M)
    whole_end = tl.maximum(whole, T // BLOCK_M * BLOCK_M)

    d_k, d_v = over_queries(
        d_k,
        d_v,
        keys,
        values,
        q,
        d_out,
        lse,
        delta,
        q_row,
        d_out_row,
        batch,
        kv_head,
        key,
        first,
        tl.minimum(whole, T),
        T,
        S,
        scale,
        heads,
        seed,
        drop,
        BLOCK_M,
        DESCRIBED,
        STAGES,
        True,
        DROPOUT,
    )
    d_k, d_v = over_queries(
        d_k,
        d_v,
        keys,
        values,
        q,
        d_out,
        lse,
        delta,
        q_row,
        d_out_row,
        batch,
        kv_head,
        key,
        whole,
        tl.minimum(whole_end, T),
        T,
        S,
        scale,
        heads,
        seed,
        drop,
        BLOCK_M,
        DESCRIBED,
        STAGES,
        False,
        DROPOUT,
    )
    if RAGGED:
        d_k, d_v = over_queries(
            d_k,
            d_v,
            keys,
            values,
            q,
            d_out,
            lse,
            delta,
            q_row,
            d_out_row,
            batch,
            kv_head,
            key,
            whole_end,
            T,
            T,
            S,
            scale,
            heads,
            seed,
            drop,
            BLOCK_M,
            DESCRIBED,
            STAGES,
            True,
            DROPOUT,
        )

    columns_of_head = tl.arange(0, PADDED)[None, :]
    at = (batch * S + key).to(tl.int64) * d_k_row + kv_head * WIDTH + columns_of_head
    inside = (key < S) & (columns_of_head < WIDTH)
    tl.store(d_k_out + at, (d_k * scale).to(d_k_out.dtype.element_ty), mask=inside)
    tl.store(d_v_out + at, d_v.to(d_v_out.dtype.element_ty), mask=inside)


@kernel
def over_keys_again(
    d_q,
    queries,
    changes,
    ends,
    deltas,
    k,
    v,
    k_row,
    v_row,
    batch,
    head,
    kv_head,
    query,
    first,
    last,
    T,
    S,
    scale,
    heads,
    seed,
    drop,
    BLOCK_N: tl.constexpr,
    DESCRIBED: tl.constexpr,
    STAGES: tl.constexpr,
    MASKED: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """Goes on from key `first` to `last` with the gradient of the queries."""
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        end = (batch + 1) * S
        key = start + tl.arange(0, BLOCK_N)[None, :]
        keys = tile(
            k, batch * S + start, kv_head, end, k_row, BLOCK_N, DESCRIBED, not MASKED
        )
        values = tile(
            v, batch * S + start, kv_head, end, v_row, BLOCK_N, DESCRIBED, not MASKED
        )
        dots = tl.dot(queries, keys.T, input_precision="ieee")
        p = weights_again(dots, ends[:, None], query, key, S, scale, MASKED)
        d_p = tl.dot(changes, values.T, input_precision="ieee")
        if DROPOUT:
            keep = kept(seed, query, key, batch * heads + head, T, drop)
            d_p = tl.where(keep, d_p * (1.0 / (1.0 - drop)), 0.0)
        change = p * (d_p - deltas[:, None])
        d_q = tl.dot(change.to(keys.dtype), keys, d_q, input_precision="ieee")
    return d_q


@kernel
def attention_backward_queries(
    q,
    k,
    v,
    d_out,
    lse,
    delta,
    d_q_out,
    q_row,
    k_row,
    v_row,
    d_out_row,
    d_q_row,
    T,
    S,
    heads,
    scale,
    seeds,
    drop,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    DESCRIBED: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    """A program has BLOCK_M queries of one head and walks over the keys that they
    see, as forward does.
    """
    blocks = tl.cdiv(T, BLOCK_M)
    block, plane = block_and_plane(blocks)
    block = blocks - 1 - block
    batch = plane // heads
    head = plane % heads
    top = block * BLOCK_M
    rows = top + tl.arange(0, BLOCK_M)
    query = rows[:, None]
    end = (batch + 1) * T
    queries = tile(q, batch * T + top, head, end, q_row, BLOCK_M, DESCRIBED, False)
    changes = tile(
        d_out, batch * T + top, head, end, d_out_row, BLOCK_M, DESCRIBED, False
    )
    at = (batch * heads + head) * T + rows
    ends = tl.load(lse + at, mask=rows < T, other=float("inf"))
    deltas = tl.load(delta + at, mask=rows < T, other=0.0)
    d_q = tl.zeros([BLOCK_M, PADDED], tl.float32)
    seed = 0
    if DROPOUT:
        seed = tl.load(seeds)

    whole, whole_end, last = keys_seen(top, S, BLOCK_M, BLOCK_N)
    d_q = over_keys_again(
        d_q,
        queries,
        changes,
        ends,
        deltas,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        head,
        query,
        whole,
        whole_end,
        T,
        S,
        scale,
        heads,
        seed,
        drop,
        BLOCK_N,
        DESCRIBED,
        STAGES,
        False,
        DROPOUT,
    )
    d_q = over_keys_again(
        d_q,
        queries,
        changes,
        ends,
        deltas,
        k,
        v,
        k_row,
        v_row,
        batch,
        head,
        head,
        query,
        whole_end,
        last,
        T,
        S,
        scale,
        heads,
        seed,
        drop,
        BLOCK_N,
        DESCRIBED,
        STAGES,
        True,
        DROPOUT,
    )

    columns = tl.arange(0, PADDED)[None, :]
    at = d_q_out + (batch * T + query).to(tl.int64) * d_q_row + head * WIDTH + columns
    tl.store(
        at,
        (d_q * scale).to(d_q_out.dtype.element_ty),
        mask=(query < T) & (columns < WIDTH),
    )


# How it is cut, by compute capability and the bytes of a number: queries and keys of a
# tile, warps, stages, and whether tiles are copied by tensor descriptors.
ATTENTION_FORWARD = {
    9: {2: (64, 64, 4, 3, True), 4: (64, 32, 8, 2, False)},
    8: {2: (64, 64, 4, 2, False), 4: (64, 32, 8, 2, False)},
}
ATTENTION_BACKWARD_KEYS = {
    9: {2: (32, 64, 4, 3, True), 4: (32, 32, 8, 2, False)},
    8: {2: (32, 64, 4, 2, False), 4: (16, 32, 8, 2, False)},
}
ATTENTION_BACKWARD_QUERIES = {
    9: {2: (128, 64, 4, 3, True), 4: (32, 32, 8, 2, False)},
    8: {2: (64, 64, 4, 2, False), 4: (32, 16, 8, 2, False)},
}


def launch_attention_forward(
    q: Tensor, k: Tensor, v: Tensor, dropout: float, seed: Tensor | None
) -> tuple[Tensor, Tensor]:
    B, T, heads, width = q.shape
    scale = width**-0.5
    S = k.shape[1]
    q, k, v = rows(q), rows(k), rows(v)
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty((B, heads, T), dtype=torch.float32, device=q.device)
    m, n, warps, stages, described = tiles(ATTENTION_FORWARD, q)
    with torch.cuda.device_of(q):
        attention_forward[(triton.cdiv(T, m) * B * heads,)](
            tiles_of(q, m, described),
            tiles_of(k, n, described),
            tiles_of(v, n, described),
            out,
            lse,
            q.stride(1),
            k.stride(1),
            v.stride(1),
            T,
            S,
            heads,
            scale,
            seed,
            dropout,
            BLOCK_M=m,
            BLOCK_N=n,
            STAGES=stages,
            DESCRIBED=described,
            DROPOUT=dropout > 0,
            num_warps=warps,
            num_stages=stages,
        )
    return out, lse


def launch_attention_backward(
    d_out: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    dropout: float,
    seed: Tensor | None,
) -> Tensor:
    B, T, heads, width = q.shape
    scale = width**-0.5
    S, kv_heads = k.shape[1:3]
    q, k, v, d_out = rows(q), rows(k), rows(v), rows(d_out.contiguous())
    size = (B, T, heads + 2 * kv_heads, width)
    d_qkv = torch.empty(size, dtype=q.dtype, device=q.device)
    d_q, d_k, d_v = d_qkv.split([heads, kv_heads, kv_heads], 2)
    delta = torch.empty_like(lse)
    with torch.cuda.device_of(q):
        blocks = triton.cdiv(T, 64)
        attention_delta[(blocks * B * heads,)](out, d_out, delta, T, heads, BLOCK_M=64)
        m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_KEYS, q)
        attention_backward_keys[(triton.cdiv(S, n) * B * kv_heads,)](
            tiles_of(q, m, described),
            tiles_of(k, n, described),
            tiles_of(v, n, described),
            tiles_of(d_out, m, described),
            lse,
            delta,
            d_k,
            d_v,
            q.stride(1),
            k.stride(1),
            v.stride(1),
            d_out.stride(1),
            d_k.stride(1),
            T,
            S,
            heads,
            scale,
            seed,
            dropout,
            BLOCK_M=m,
            BLOCK_N=n,
            STAGES=stages,
            DESCRIBED=described,
            RAGGED=T % m != 0 or S % n != 0,
            DROPOUT=dropout > 0,
            num_warps=warps,
            num_stages=stages,
        )
        m, n, warps, stages, described = tiles(ATTENTION_BACKWARD_QUERIES, q)
        blocks = triton.cdiv(T, m)
        attention_backward_queries[(blocks * B * heads,)](
            tiles_of(q, m, described),
            tiles_of(k, n, described),
            tiles_of(v, n, described),
            tiles_of(d_out, m, described),
            lse,
            delta,
            d_q,
            q.stride(1),
            k.stride(1),
            v.stride(1),
            d_out.stride(1),
            d_q.stride(1),
            T,
            S,
            heads,
            scale,
            seed,
            dropout,
            BLOCK_M=m,
            BLOCK_N=n,
            STAGES=stages,
            DESCRIBED=described,
            DROPOUT=dropout > 0,
            num_warps=warps,
            num_stages=stages,
        )
    return d_qkv


def attention_forward_shapes(q, k, v, dropout, seed):
    B, T, heads, _ = q.shape
    return q.new_empty(q.shape), q.new_empty((B, heads, T), dtype=torch.float32)


def attention_backward_shapes(d_out, q, k, v, out, lse, dropout, seed):
    B, T, heads, width = q.shape
    size = (B, T, heads + 2 * k.shape[2], width)
    return q.new_empty(size)


operator(
    "attention_forward(Tensor q, Tensor k, Tensor v, float dropout, Tensor? seed) -> (Tensor, Tensor)",
    launch_attention_forward,
    attention_forward_shapes,
)
operator(
    "attention_backward(Tensor d_out, Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse, float dropout, Tensor? seed) -> Tensor",
    launch_attention_backward,
    attention_backward_shapes,
)


class Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, dropout, seed):
        out, lse = operators.attention_forward(q, k, v, dropout, seed)
        ctx.save_for_backward(q, k, v, out, lse, seed)
        ctx.dropout = dropout
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        q, k, v, out, lse, seed = ctx.saved_tensors
        d_qkv = operators.attention_backward(
            d_out, q, k, v, out, lse, ctx.dropout, seed
        )
        # Parts of one tensor, which the product behind q, k and v takes whole.
        d_q, d_k, d_v = d_qkv.split([q.shape[2], k.shape[2], v.shape[2]], 2)
        return d_q, d_k, d_v, None, None


def attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """Causal attention (Dao 2023), fused where there is a GPU and heads are 64 wide.

    q [B, T, heads, width], k and v [B, T, heads, width] -> [B, T, heads, width]
    """
    fits = (
        q.shape[3] == k.shape[3] == v.shape[3] == 64
        and q.shape[2] == k.shape[2]
        and q.shape[1] == k.shape[1]
    )
    if not (fits and fused(q)):
        return attention_plain(q, k, v, dropout)
    if torch.is_autocast_enabled(q.device.type):
        dtype = torch.get_autocast_dtype(q.device.type)
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    if v.shape[:3] != k.shape[:3]:
        raise ValueError(
            f"v is {list(v.shape)}, which does not go with k, {list(k.shape)}"
        )
    if len(k) != len(q):
        k, v = (one.expand(len(q), -1, -1, -1) for one in (k, v))
    seed = torch.randint(2**62, (1,), device=q.device) if dropout > 0 else None
    return Attention.apply(q, k, v, dropout, seed)


def attention_plain(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """The same by PyTorch alone."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    return y.transpose(1, 2)


class Linears(torch.autograd.Function):
    """Keeps the weights as they are, and puts them side by side once more in the backward
    pass: nothing is kept twice, and what is sharded can be let go in between.
    """

    @staticmethod
    def forward(ctx, x, count, *learned):
        weights, biases = learned[:count], learned[count:]
        ctx.save_for_backward(x, *weights)
        y = F.linear(x, *side_by_side(x.dtype, weights, biases))
        return y.split([len(weight) for weight in weights], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, *d_ys):
        x, *weights = ctx.saved_tensors
        by_x, _, *by_learned = ctx.needs_input_grad
        count = len(weights)
        by_weights, by_biases = by_learned[:count], by_learned[count:]
        sizes, dtype = [len(weight) for weight in weights], weights[0].dtype
        d_y, d_x, d_weights = joined(d_ys), None, [None] * len(sizes)
        if by_x:
            (weight,) = side_by_side(d_y.dtype, weights)
            d_x = (d_y @ weight).view_as(x)
        if any(by_weights):
            d_weights = product(d_y.t(), as_rows(x), dtype).split(sizes)
        d_biases = [None] * count
        if any(by_biases):
            d_biases = column_sums(d_y, dtype).split(sizes)
        return d_x, None, *d_weights, *d_biases


def linears(x: Tensor, *layers: nn.Linear) -> Sequence[Tensor]:
    """What each of several linear layers makes of x: one product where there is a GPU."""
    if not one_product(x, layers, bias=True):
        return [layer(x) for layer in layers]
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    weights = [layer.weight for layer in layers]
    return Linears.apply(x, len(weights), *weights, *(layer.bias for layer in layers))


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
        total = total * tl.math.exp2((high - higher) * LOG2_E)
        total += tl.sum(tl.math.exp2((value - higher[:, None]) * LOG2_E), 1)
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
            counts, tl.sum(total * tl.math.exp2((high - highest) * LOG2_E), 0), 1.0
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
    change = tl.math.exp2((value - lse) * LOG2_E) * by_p - tl.where(
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

    x [..., 768], labels [...]; a label of -100 does not count.
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
    """[..., 768] -> [..., 50257]; with targets [...], their cross-entropy."""

    def __call__(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        if targets is None:
            return super().__call__(x)
        if not is_plain(self) or self.bias is not None:
            # Hooks take and give what those of a linear layer do.
            return cross_entropy(super().__call__(x), targets)
        return linear_cross_entropy(x, self.weight, targets)
