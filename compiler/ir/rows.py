"""How many rows the tables have that whole numbers of a model's inputs pick from."""

from __future__ import annotations

from collections.abc import Iterator

from ..semantics.number import whole
from .graph import Apply, Graph, Node, Run, RunCopies, Unit, Value, regions
from .units import inside


def rows_of_inputs(graph: Graph) -> dict[str, int]:
    """The rows of the smallest Embedding that reads an input, by the name of the input; inputs that none reads as they
    are left out."""
    found: dict[str, int] = {}
    for value in graph.model.inputs:
        rows = min(_rows(value, graph.model, graph.model.nodes), default=None)
        if rows is not None:
            found[value.name or ""] = rows
    return found


def _rows(value: Value, unit: Unit, nodes: tuple[Node, ...]) -> Iterator[int]:
    for node in nodes:
        if value in node.inputs:
            yield from _read_by(node, node.inputs.index(value), unit)
        for region in regions(node.op):
            if node.inputs[:1] == (value,):
                yield from _rows(region.input, unit, region.nodes)
            yield from _rows(value, unit, region.nodes)


def _read_by(node: Node, place: int, unit: Unit) -> Iterator[int]:
    from ..layers.embedding import Embedding

    if isinstance(node.op, Apply) and isinstance(node.op.layer, Embedding) and place == 0:
        yield whole(node.op.layer.count)
    if isinstance(node.op, Run | RunCopies) and node.module is not None:
        for first in inside(unit.module(node.module))[:1]:
            yield from _rows(first.inputs[place], first, first.nodes)
