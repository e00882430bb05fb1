"""What layers with an axis share: an axis is a position, from either end, or the name of a dim."""

from __future__ import annotations

from collections.abc import Sequence

from ..semantics.tensor import Tensor
from .base import ShapeFault


def find_axis(word: str, axis: int | str, x: Tensor, option: str = "axis") -> int:
    """The position of an axis of `x`, counted from 0. Raises ShapeFault where `x` has no such axis."""
    if isinstance(axis, str):
        found = x.axis(axis)
        if found is None:
            names = [name for name in x.axes if name]
            called = f"its axes are called {', '.join(names)}; or " if names else ""
            help = f"{called}name it by its position, such as -1"
            raise ShapeFault(f"{word} along {axis}, and {x} has no axis of that name", help, option)
        return found
    if not -x.rank <= axis < x.rank:
        raise ShapeFault(f"{word} along axis {axis}, and {x} has {x.rank}", f"an axis from 0 to {x.rank - 1}", option)
    return axis % x.rank


def find_axes(word: str, axes: Sequence[int | str], x: Tensor, option: str = "over") -> tuple[int, ...]:
    """The positions of several axes, counted from 0, in the order of `x`. Raises ShapeFault; none may come twice."""
    found = [find_axis(word, axis, x, option) for axis in axes]
    if len(set(found)) < len(found):
        raise ShapeFault(f"{word} names an axis of {x} twice", "name each axis once", option)
    return tuple(sorted(found))
