"""What a graph may hold and this version cannot emit: it is checked, shown and counted all the same."""

from __future__ import annotations

from collections.abc import Iterator

from ....grammar.source import Span
from ...ir.graph import Apply, Copies, Experts, Graph, Node, Unit, UnitModule, regions
from .places import out_of_reach


def not_emitted(graph: Graph) -> Iterator[tuple[str, Span]]:
    """Each part that has no PyTorch text yet, in the words of a message, with its place."""
    yield from _unit(graph.model)


def _unit(unit: Unit) -> Iterator[tuple[str, Span]]:
    yield from _nodes(unit.nodes, unit)
    for module in unit.modules:
        match module:
            case UnitModule(unit=inner):
                yield from _unit(inner)
            case Copies(units=units) | Experts(units=units):
                for inner in dict.fromkeys(units):
                    yield from _unit(inner)


def _nodes(nodes: tuple[Node, ...], unit: Unit) -> Iterator[tuple[str, Span]]:
    for node in nodes:
        dim = out_of_reach(node.op.layer, unit) if isinstance(node.op, Apply) else None
        if dim is not None and isinstance(node.op, Apply):
            yield (
                f"`{node.op.layer.word}` with `{dim}`, which no value that comes into this part has for a dim,",
                node.span,
            )
        for region in regions(node.op):
            yield from _nodes(region.nodes, unit)
