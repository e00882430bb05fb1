"""Modules that were made in the arguments of a layer and lie inside it: `CrossAttention(4, memory = m -> Linear(8))`.

The class of the layer takes them and keeps them, so that their keys begin with its name. They run where the layer is
called (`self.cross(x, self.cross.linear(m))`), since an argument may be any flow, of any values there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Held(NamedTuple):
    """A module under its name inside the layer. `kind` is its type in PyTorch, `made` the expression that makes it."""

    name: str
    kind: str
    made: str


def given(held: Sequence[Held]) -> list[str]:
    """The arguments that hand them to the class."""
    return [f"{one.name}={one.made}" for one in held]


def taken(held: Sequence[Held]) -> list[str]:
    """The parameters of the class's `__init__` that take them."""
    return [f"{one.name}: {one.kind}" for one in held]


def kept(held: Sequence[Held]) -> list[str]:
    """The lines of `__init__` that keep them."""
    comment = ["# Run by the caller: `forward` takes what they give."] if held else []
    return [*comment, *(f"self.{one.name} = {one.name}" for one in held)]
