"""A unit with some of its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .graph import Node, Unit, Value, regions
from .reads import captured


def view(unit: Unit, places: Sequence[int]) -> Unit:
    """The unit with the outputs at these places alone, and the nodes that they need."""
    outputs = tuple(unit.outputs[place] for place in places)
    needed: set[Value] = set(outputs)
    kept: list[Node] = []
    for node in reversed(unit.nodes):
        if needed.isdisjoint(node.outputs):
            continue
        kept.append(node)
        needed.update(node.inputs)
        for region in regions(node.op):
            needed.update(captured(region))
    return replace(unit, nodes=tuple(reversed(kept)), outputs=outputs)
