"""Sums of columns, which the gradients of biases are: what other kernels stand on, and no model calls itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .common import GROUPS_OF_ROWS
from .specialise import Specialised, specialise
from .variant import Variant

COLUMNS, ROWS, WARPS, PROGRAMS = 128, 32, 4, 8
"""Of a tile, of a program, and how many programs for each multiprocessor: enough to keep its memory busy."""

_CALLING = f'''\
def sum_of_parts(parts: Tensor, dtype: torch.dtype) -> Tensor:
    """[parts, N] -> [N]"""
    groups, N = parts.shape
    sums = torch.empty(N, dtype=dtype, device=parts.device)
    with torch.cuda.device_of(parts):
        sum_columns[(triton.cdiv(N, 32), 1)](
            parts, sums, N, groups, N, groups, ROWS=64, BLOCK=32, num_warps={WARPS}
        )
    return sums


def launch_column_sums(x: Tensor, dtype: torch.dtype) -> Tensor:
    x = x if x.stride(1) == 1 else x.contiguous()
    M, N = x.shape
    blocks = triton.cdiv(N, {COLUMNS})
    groups, per = groups_of_rows(M, {PROGRAMS}, blocks, x)
    parts = torch.empty((groups, N), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        sum_columns[(blocks, groups)](
            x,
            parts,
            x.stride(0),
            M,
            N,
            per,
            ROWS={ROWS},
            BLOCK={COLUMNS},
            num_warps={WARPS},
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
'''


@dataclass(frozen=True)
class ColumnSums(Variant):
    """Nothing is fixed."""

    kind: ClassVar[str] = "columns"
    called: ClassVar[bool] = False

    @property
    def entry(self) -> str:
        return "column_sums"

    @property
    def shared(self) -> tuple[str, ...]:
        return (GROUPS_OF_ROWS,)

    def kernels(self, number: int) -> Specialised:
        return specialise(("linear.sum_columns",), {}, {}, number, self.kind)

    def calling_lines(self, kernels: Specialised, number: int) -> list[str]:
        return list[str](_CALLING.splitlines())
