"""The type of a value: what kind of numbers it holds and its dims.

A `Tensor` may be `UNKNOWN` in part: what an earlier error left open is never reported twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from .number import Number, equal, outward, valued, written

DType = Literal["float", "int", "bool"]


@dataclass(frozen=True)
class Tensor:
    """`int[B, T]`.

    `axes` are the names by which axes are called (`mean(over = [H, W])`), None where an axis has none; empty where
    nobody has said them yet. They are no part of what the type is: two shapes are compared by their dims.
    """

    dtype: DType
    dims: tuple[Number, ...]
    axes: tuple[str | None, ...] = field(default=(), compare=False)

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def channel_axis(self) -> int:
        """1 at rank 4 and 5 (images, volumes), else the last."""
        return 1 if self.rank in (4, 5) else self.rank - 1

    @property
    def channels(self) -> Number:
        return self.dims[self.channel_axis]

    def __str__(self) -> str:
        return f"{'' if self.dtype == 'float' else self.dtype}[{', '.join(map(written, self.dims))}]"

    def with_last(self, dim: Number) -> Tensor:
        return self.with_dim(-1, dim)

    def with_dim(self, axis: int, dim: Number) -> Tensor:
        """The type with another length along one axis, counted from 0 or from -1 at the end."""
        axis %= self.rank
        return replace(self, dims=(*self.dims[:axis], dim, *self.dims[axis + 1 :]))

    def without(self, axes: Sequence[int]) -> Tensor:
        """The type without some of its axes."""
        gone = {axis % self.rank for axis in axes}
        kept = [axis for axis in range(self.rank) if axis not in gone]
        names = tuple(self.axes[axis] for axis in kept) if self.axes else ()
        return replace(self, dims=tuple(self.dims[axis] for axis in kept), axes=names)

    def axis(self, name: str) -> int | None:
        """The axis of that name, or None."""
        return self.axes.index(name) if name in self.axes else None

    def named_like(self, other: Tensor) -> Tensor:
        """The type with the axes called as in `other`, where it has no names of its own: of another rank, those whose
        dim it has from there."""
        if self.axes or not other.axes:
            return self
        if self.rank == other.rank:
            return replace(self, axes=other.axes)
        names = [other._name_of(dim) for dim in self.dims]
        return replace(self, axes=tuple(name if names.count(name) == 1 else None for name in names))

    def _name_of(self, dim: Number) -> str | None:
        """What the axis with this very dim is called; a number that merely is the same is another dim."""
        found = [name for name, own in zip(self.axes, self.dims, strict=True) if own is dim]
        return found[0] if len(found) == 1 else None


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
    return replace(t, dims=tuple(outward(dim, scope) for dim in t.dims)) if isinstance(t, Tensor) else t


def called_outside(t: Type, inside: Type, outside: Type) -> Type:
    """The type of what leaves a unit with its axes called as around it, where the unit's input is `inside` in its own
    words and `outside` in those around. A name that no axis of the input has is the unit's own affair."""
    if not isinstance(t, Tensor) or not isinstance(inside, Tensor) or not isinstance(outside, Tensor):
        return t
    names = dict(zip(inside.axes, outside.axes, strict=False))
    return replace(t, axes=tuple(names.get(name) for name in t.axes))


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
        raise TypeFault(f"{valued(x)} and {valued(y)} meet on one axis")
    dtype: DType = "float" if "float" in (a.dtype, b.dtype) else "int" if "int" in (a.dtype, b.dtype) else "bool"
    return Tensor(dtype, tuple(dims), long.axes or (short.axes if short.rank == long.rank else ()))
