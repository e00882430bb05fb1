"""What autograd keeps of a layer's forward pass until its backward pass has run."""

from __future__ import annotations

from typing import Literal

from ...grammar.frozen import Frozen
from ..semantics.number import Number
from .side import Side

Device = Literal["cpu", "cuda"]
Gives = Literal["new", "view", "weight", "table"]
Autocast = Literal["low", "full", "same"]


class Part(Frozen):
    """A tensor that is there for a while: its dims, and how many bytes an entry has.

    None is as many as what matrices give: 2 with bf16 and fp16, else 4. `cast`: it is there with bf16 and fp16 only.
    """

    dims: tuple[Number, ...]
    width: int | None = 4
    cast: bool = False


class Kept(Frozen):
    """`input` and `output`: whether what comes by the arrow and what goes out is needed again; `sides`: what is of that
    which comes by keyword. `more` is what the layer made for itself and keeps, `work` what its backward pass makes for
    a while, besides the gradients of what came in and of its weights.

    A tensor that several layers need is there once. `parts`: the gradients of what came in are parts of that of what
    goes out, without memory of their own.
    """

    input: bool = False
    sides: tuple[Side, ...] = ()
    output: bool = False
    more: tuple[Part, ...] = ()
    work: tuple[Part, ...] = ()
    parts: bool = False
