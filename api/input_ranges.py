"""How many values the whole numbers that a model takes may have: as many as the smallest table that they look up."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..compiler.ir.graph import Graph, Node, Pointwise, Unit, Value

Sources: TypeAlias = "frozenset[tuple[str, bool]]"
"""The inputs that a value is made of, and whether it is that input as it came."""

UNBOUNDED = 100
"""So many values are tried of numbers that look nothing up."""


def input_ranges(graph: Graph) -> dict[str, int]:
    """Input name -> number of values, for inputs of whole numbers.

    Left out are those that an Embedding looks up after some arithmetic: which of them fit its table is not known.
    """
    from ..compiler.semantics.tensor import Tensor

    inputs = [v for v in graph.model.inputs if v.name and isinstance(v.type, Tensor) and v.type.dtype == "int"]
    looked_up = _LookedUp()
    looked_up.unit(graph.model, {value: frozenset({(value.name or "", True)}) for value in inputs})
    return {
        str(value.name): looked_up.rows.get(str(value.name), UNBOUNDED)
        for value in inputs
        if value.name not in looked_up.reckoned
    }


def _is_nought(product: Pointwise) -> bool:
    return any(factor is not None and factor.value == 0 for factor in (product.left, product.right))


class _LookedUp:
    """Walks a graph: which inputs tables are asked for, and how many rows the smallest of them has."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.reckoned: set[str] = set()

    def unit(self, unit: Unit, sources: dict[Value, Sources]) -> None:
        self.nodes(unit, unit.nodes, sources)

    def nodes(self, unit: Unit, nodes: tuple[Node, ...], sources: dict[Value, Sources]) -> None:
        from ..compiler.ir.graph import Apply, Copies, Pointwise, Residual, Run, RunCopies, UnitModule
        from ..compiler.semantics.number import whole

        for node in nodes:
            found = [sources.get(value, frozenset()) for value in node.inputs]
            module = unit.module(node.module) if node.module else None
            if isinstance(node.op, Apply) and node.op.layer.word == "Embedding":
                rows = whole(getattr(node.op.layer, "count"))  # noqa: B009  an option of the one class
                self.look_up(rows, found[0])
                continue
            if isinstance(node.op, Pointwise) and node.op.operator == "*" and _is_nought(node.op):
                continue  # whatever comes in
            if isinstance(node.op, Run | RunCopies):
                units = (module.unit,) if isinstance(module, UnitModule) else ()
                for inner in module.units if isinstance(module, Copies) else units:
                    self.unit(inner, dict(zip(inner.inputs, found, strict=True)))
            if isinstance(node.op, Residual):
                for region in (node.op.branch, node.op.after):
                    if region is not None:
                        self.nodes(unit, region.nodes, {**sources, region.input: found[0]})
            changed = frozenset((name, False) for each in found for name, _ in each)
            sources.update(dict.fromkeys(node.outputs, changed))

    def look_up(self, rows: int, sources: Sources) -> None:
        for name, as_it_came in sources:
            if as_it_came:
                self.rows[name] = min(rows, self.rows.get(name, rows))
            else:
                self.reckoned.add(name)
