"""How many rows the tables have that whole numbers of a model's inputs pick from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.number import whole
from .graph import Apply, Graph, Node, Run, RunCopies, Unit, Value, regions
from .units import inside

if TYPE_CHECKING:
    from ..layers.embedding import Embedding


class Table(Frozen):
    """An Embedding, and where it stands."""

    layer: Embedding
    span: Span


def rows_of_inputs(graph: Graph) -> dict[str, int]:
    """The rows of the smallest Embedding that reads an input, by the name of the input; inputs that none reads as they
    are left out."""
    return {name: whole(table.layer.count) for name, table in smallest_tables(graph).items()}


def smallest_tables(graph: Graph) -> dict[str, Table]:
    """The smallest Embedding that reads an input, by the name of the input."""
    found: dict[str, Table] = {}
    for value in graph.model.inputs:
        tables = _tables(value, graph.model, graph.model.nodes)
        smallest = min(tables, key=lambda table: whole(table.layer.count), default=None)
        if smallest is not None:
            found[value.name or ""] = smallest
    return found


def _tables(value: Value, unit: Unit, nodes: tuple[Node, ...]) -> Iterator[Table]:
    for node in nodes:
        if value in node.inputs:
            yield from _read_by(node, node.inputs.index(value), unit)
        for region in regions(node.op):
            if node.inputs[:1] == (value,):
                yield from _tables(region.input, unit, region.nodes)
            yield from _tables(value, unit, region.nodes)


def _read_by(node: Node, place: int, unit: Unit) -> Iterator[Table]:
    from ..layers.embedding import Embedding

    if isinstance(node.op, Apply) and isinstance(node.op.layer, Embedding) and place == 0:
        yield Table(node.op.layer, node.span)
    if isinstance(node.op, Run | RunCopies) and node.module is not None:
        for first in inside(unit.module(node.module))[:1]:
            yield from _tables(first.inputs[place], first, first.nodes)
