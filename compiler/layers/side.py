"""Side inputs: values that a call gets besides the one that comes by the arrow (`CrossAttention(8, memory = m)`)."""

from __future__ import annotations

from ...grammar.frozen import Frozen
from ..semantics.tensor import Tensor


class Side(Frozen, eq=False):
    """What a layer knows of a side input: its type, and its place among the inputs of its node.

    In PyTorch text it prints as a hole that the emitter fills: `call` may write `f"{module}({x}, {self.memory})"`. In
    ONNX `g.side(self.memory)` is its value.
    """

    type: Tensor
    place: int

    def __str__(self) -> str:
        return hole(self.place)


def hole(place: int) -> str:
    """What stands for the input at a place while it is not known how it will be written; 0 is the first."""
    return f"_x{place or ''}_"
