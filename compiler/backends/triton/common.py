"""What every file of kernels has, whatever they are."""

HEAD = """\
from __future__ import annotations

_STANDARD_from collections.abc import _ABSTRACT_

import torch
_IMPORTS_
try:
    import triton
    import triton.language as tl
_DESCRIPTORS_
    kernel, constant = triton.jit, tl.constexpr
except ImportError:  # without Triton the plain forms run
    triton = None

    def kernel(function: Callable) -> Callable:
        return function

    constant = kernel

# Operators are defined once in a process: an edited copy beside this file needs another name.
NAMESPACE = "_NAMESPACE_"
operators = getattr(torch.ops, NAMESPACE)

"""

FUSED = '''\
def fused(x: Tensor) -> bool:
    """Whether kernels run on such a tensor: on a GPU, in half precision or in float32."""
    dtypes = (torch.float16, torch.bfloat16, torch.float32)
    return triton is not None and x.is_cuda and x.dtype in dtypes and x.numel() > 0
'''

GENERATION = '''\
def generation(x: Tensor) -> int:
    """Of the GPU of `x`, as tables of tiles know it: 9 on Hopper, else 8."""
    if torch.version.hip is not None or not x.is_cuda:
        return 8
    return 9 if torch.cuda.get_device_capability(x.device)[0] == 9 else 8
'''

WARPS = '''\
def warps(threads: int) -> int:
    """How many they are: of 64 threads each on AMD, else of 32."""
    return max(1, threads // (64 if torch.version.hip is not None else 32))
'''

LABELS = '''\
def hold_labels(labels: Tensor, rows: int) -> None:
    """Raises ValueError where PyTorch refuses labels: kernels read what memory holds."""
    if len(labels) != rows:
        raise ValueError(f"{rows} rows of logits, but {len(labels)} labels")
    if labels.dtype not in (torch.int64, torch.uint8):
        raise ValueError(f"labels are torch.int64, not {labels.dtype}")
'''

OPERATORS = '''\
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
'''

TILES = '''\
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
'''

GROUPS_OF_ROWS = '''\
def groups_of_rows(M: int, programs: int, blocks: int, x: Tensor) -> tuple[int, int]:
    """How many groups M rows are in, and how many rows a group has. `blocks` programs
    share a group, and a multiprocessor has so many `programs`.
    """
    if x.is_cuda:
        programs *= torch.cuda.get_device_properties(x.device).multi_processor_count
    per = triton.cdiv(M, min(M, max(1, programs // blocks)))
    return triton.cdiv(M, per), per
'''

ROOM_FOR_SUM = '''\
def room_for_sum(x: Tensor, branch: Tensor | None) -> Tensor:
    """For x + branch; nothing where there is no branch."""
    if branch is None:
        return x.new_empty(0)
    return x.new_empty(x.shape, dtype=torch.promote_types(x.dtype, branch.dtype))
'''

SCALED = '''\
def scaled(x: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """x * scale in `dtype`, in one pass. `scale` is one number in float32."""
    y = torch.empty_like(x, dtype=dtype)
    # Without axes of its own it would be rounded to the dtype of x first.
    return torch.mul(x, scale.view([1] * x.ndim), out=y)
'''

SUMS_OF_PRODUCTS = '''\
def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right, in the dtype of `total`."""
    if left.is_cuda and left.dtype != total.dtype:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total.addmm_(left.to(total.dtype), right.to(total.dtype))
'''

PRODUCTS = '''\
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
'''

PRODUCT_GRADIENTS = '''\
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
'''

CAST = '''\
def cast(tensors: Sequence[Tensor], dtype: torch.dtype) -> Sequence[Tensor]:
    """Each in `dtype`, all by one kernel."""
    if all(tensor.dtype == dtype for tensor in tensors):
        return tensors
    made = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(made, tensors)
    return made
'''

IS_PLAIN = '''\
def is_plain(layer: nn.Linear) -> bool:
    """Whether nothing was put around a layer or in place of what it has."""
    before = layer._forward_pre_hooks or layer._backward_pre_hooks
    behind = layer._forward_hooks or layer._backward_hooks
    everywhere = torch.nn.modules.module._has_any_global_hook()
    # Where it is computed (a parametrization), looking at it would compute it.
    own = type(layer._parameters.get("weight")) is nn.Parameter
    own = own and "forward" not in vars(layer)
    return own and not (before or behind or everywhere)
'''
