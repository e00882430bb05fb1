"""How many values the whole numbers that a model takes may have: as many as the smallest table that they look up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph, Node, Unit, Value


def input_ranges(graph: Graph) -> dict[str, int]:
    """Input name -> number of values, for inputs of whole numbers that an Embedding looks up."""
    sources = {value: value.name or "" for value in graph.model.inputs}
    found: dict[str, int] = {}
    _unit(graph.model, sources, found)
    return found


def _unit(unit: Unit, sources: dict[Value, str], found: dict[str, int]) -> None:
    _nodes(unit, unit.nodes, sources, found)


def _nodes(unit: Unit, nodes: tuple[Node, ...], sources: dict[Value, str], found: dict[str, int]) -> None:
    from ..compiler.ir.graph import Apply, Copies, Residual, Run, RunCopies, UnitModule
    from ..compiler.semantics.number import whole

    for node in nodes:
        names = [sources.get(value) for value in node.inputs]
        module = unit.module(node.module) if node.module else None
        match node.op:
            case Apply(layer=layer) if layer.word == "Embedding" and names[0] is not None:
                count = whole(getattr(layer, "count"))  # noqa: B009  an option of the one class
                found[names[0]] = min(count, found.get(names[0], count))
            case Run() | RunCopies():
                units = (module.unit,) if isinstance(module, UnitModule) else ()
                units = module.units if isinstance(module, Copies) else units
                for inner in units:
                    passed = zip(inner.inputs, names, strict=True)
                    _unit(inner, {value: name for value, name in passed if name is not None}, found)
            case Residual(branch=branch) if names[0] is not None:
                _nodes(unit, branch.nodes, {**sources, branch.input: names[0]}, found)
