"""What a graph may hold and this version cannot emit: it is checked, shown and counted all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ....grammar.source import Span
from ...ir.graph import Apply, Copies, Experts, Graph, Loop, Node, Unit, UnitModule, regions
from ...semantics.number import real
from .places import out_of_reach


def not_emitted(graph: Graph) -> Iterator[tuple[str, Span]]:
    """Each part that has no PyTorch text yet, in the words of a message, with its place."""
    yield from _unit(graph.model)
    runs: Counter[Experts] = Counter()
    _count_runs(graph.model, 1, runs)
    for module, times in runs.items():
        if times > 1 and real(module.balance) != 0:
            yield (
                "`experts` that run several times in one pass and have a balance loss (`balance = 0` has none),",
                module.span,
            )


def _count_runs(unit: Unit, times: int, runs: Counter[Experts]) -> None:
    """How often experts run in a pass; 2 stands for more, too."""

    def count(nodes: tuple[Node, ...], times: int) -> None:
        for node in nodes:
            for region in regions(node.op):
                again = isinstance(node.op, Loop) and node.op.count.value != 1
                count(region.nodes, times + again)
            match unit.module(node.module) if node.module is not None else None:
                case Experts(units=units) as module:
                    runs[module] += times
                    for inner in dict.fromkeys(units):
                        _count_runs(inner, times, runs)
                case UnitModule(unit=inner):
                    _count_runs(inner, times, runs)
                case Copies(units=units):
                    for inner in dict.fromkeys(units):
                        _count_runs(inner, times, runs)

    count(unit.nodes, times)


def _unit(unit: Unit) -> Iterator[tuple[str, Span]]:
    yield from _nodes(unit.nodes, unit)
    for module in unit.modules:
        match module:
            case Experts(units=units, span=span):
                from .lending import lent_to  # most models have no experts, and are checked without it

                if any(map(lent_to, units)):
                    yield "`experts` whose body uses a module from around it", span
                for inner in dict.fromkeys(units):
                    yield from _unit(inner)
            case UnitModule(unit=inner):
                yield from _unit(inner)
            case Copies(units=units):
                for inner in dict.fromkeys(units):
                    yield from _unit(inner)


def _nodes(nodes: tuple[Node, ...], unit: Unit) -> Iterator[tuple[str, Span]]:
    for node in nodes:
        if isinstance(node.op, Apply) and node.op.layer.not_emitted:
            yield f"`{node.op.layer.word}`{node.op.layer.not_emitted}", node.span
        dim = out_of_reach(node.op.layer, unit) if isinstance(node.op, Apply) else None
        if dim is not None and isinstance(node.op, Apply):
            yield (
                f"`{node.op.layer.word}` with `{dim}`, which no value that comes into this part has for a dim,",
                node.span,
            )
        for region in regions(node.op):
            yield from _nodes(region.nodes, unit)
