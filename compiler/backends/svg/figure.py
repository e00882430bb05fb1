"""What is drawn, before it has a place: items, and the wires between them.

A flow runs down the page. Of an item's inputs the first comes in at the top, the others come in at the side. An item
that holds a flow is a frame around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .kinds import Kind


@dataclass(frozen=True, eq=False)
class Item:
    """A box, a port, a sign or a frame.

    `label` is the name that the spec gave; `details` what stands small below the title; `count` how many of them stand
    one after the other; `paths` where its modules are in the checkpoint. An item without title and flow is the point
    where a wire crosses a frame.
    """

    kind: Kind
    title: str = ""
    label: str = ""
    details: str = ""
    parameters: int = 0
    count: int = 1
    inside: Flow | None = None
    block: str = ""
    paths: tuple[str, ...] = ()

    @property
    def is_crossing(self) -> bool:
        return not self.title and self.inside is None


Source: TypeAlias = tuple[Item, int]
"""An item and which of its outputs."""


@dataclass(frozen=True, eq=False)
class Wire:
    """From an output to the input `slot` of another item."""

    source: Source
    target: Item
    slot: int


@dataclass(frozen=True, eq=False)
class Flow:
    """`items` are in the order of the page, inputs first, outputs last. `shapes` says what is written at an output."""

    inputs: tuple[Item, ...]
    items: tuple[Item, ...]
    outputs: tuple[Item, ...]
    wires: tuple[Wire, ...]
    shapes: Mapping[Source, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A model, and beside it the blocks that it uses at several places, each once."""

    title: str
    subtitle: str
    notes: tuple[str, ...]
    flow: Flow
    blocks: tuple[Item, ...]
