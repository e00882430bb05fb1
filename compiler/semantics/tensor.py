"""The type of a value: what kind of numbers it holds and its dims.

A `Tensor` may be `UNKNOWN` in part: what an earlier error left open is never reported twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .number import Number, equal, outward, written

DType = Literal["float", "int", "bool"]


@dataclass(frozen=True)
class Tensor:
    """`int[B, T]`. The channel axis is 1 at rank 4 and 5 (images, volumes), else the last."""

    dtype: DType
    dims: tuple[Number, ...]

    @property
    def rank(self) -> int:
        return len(self.dims)

    def __str__(self) -> str:
        return f"{'' if self.dtype == 'float' else self.dtype}[{', '.join(map(written, self.dims))}]"

    def with_last(self, dim: Number) -> Tensor:
        return Tensor(self.dtype, (*self.dims[:-1], dim))


@dataclass(frozen=True)
class Unknown:
    """The type of what could not be worked out. Everything fits it; nothing made from it is reported."""

    def __str__(self) -> str:
        return "[...]"


UNKNOWN = Unknown()
Type = Tensor | Unknown


class TypeFault(Exception):
    """Two types that do not go together; the message says both."""


def same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.rank == b.rank and all(map(equal, a.dims, b.dims))


def seen_outside(t: Type, scope: object) -> Type:
    """The type of what leaves a unit, in the terms of the unit around it."""
    return Tensor(t.dtype, tuple(outward(dim, scope) for dim in t.dims)) if isinstance(t, Tensor) else t


def broadcast(a: Tensor, b: Tensor) -> Tensor:
    """The type of a pointwise operation: aligned from the right, a dim stretches only where it is written as 1.

    Raises TypeFault where the shapes do not go together.
    """
    long, short = (a, b) if a.rank >= b.rank else (b, a)
    lead = long.rank - short.rank
    dims = list(long.dims)
    for axis, (x, y) in enumerate(zip(long.dims[lead:], short.dims, strict=True)):
        if equal(x, y) or y.value == 1:
            continue
        if x.value == 1:
            dims[lead + axis] = y
            continue
        raise TypeFault(f"{written(x)} and {written(y)} meet on one axis")
    dtype: DType = "float" if "float" in (a.dtype, b.dtype) else "int" if "int" in (a.dtype, b.dtype) else "bool"
    return Tensor(dtype, tuple(dims))
