"""What a graph may hold and this version cannot emit: it is checked, shown and counted all the same."""

from __future__ import annotations

from collections.abc import Iterator

from ....grammar.source import Span
from ...ir.graph import Apply, Graph, all_nodes
from ...ir.units import units_in
from .places import out_of_reach


def not_emitted(graph: Graph) -> Iterator[tuple[str, Span]]:
    """Each part that has no PyTorch text yet, in the words of a message, with its place."""
    for unit in units_in(graph.model):
        for node in all_nodes(unit.nodes):
            dim = out_of_reach(node.op.layer, unit) if isinstance(node.op, Apply) else None
            if dim is not None and isinstance(node.op, Apply):
                what = f"`{node.op.layer.word}` with `{dim}`, which no value that comes into this part has for a dim,"
                yield what, node.span
