"""Norms whose results go into matrix products alone give them in the dtype of these under autocast.

PyTorch's norms give float32 there, which each product then rounds: the same numbers, written and read once more each.
What goes elsewhere, to a sum or out of the model, stays float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...ir.graph import Apply, Graph, Node, Region, Run, Unit, UnitModule, Value, all_nodes, with_regions
from ...ir.reads import uses
from ...ir.units import with_units
from .added_norm import AddedNorm
from .loss_head import LossHead


def narrow_norms(graph: Graph) -> Graph:
    return with_units(graph, _unit)


def _unit(unit: Unit) -> Unit:
    narrowed: Mapping[str | None, AddedNorm] = {
        node.module: _narrowed(node.op.layer)
        for node in all_nodes(unit.nodes)
        if isinstance(node.op, Apply)
        and isinstance(node.op.layer, AddedNorm)
        and _goes_to_products(node.outputs[1], unit)
    }

    def changed(node: Node) -> Node:
        norm = narrowed.get(node.module) if isinstance(node.op, Apply) else None
        op = with_regions(node.op, region) if norm is None else Apply(norm)
        return replace(node, op=op)

    def region(inner: Region) -> Region:
        return replace(inner, nodes=tuple(map(changed, inner.nodes)))

    modules = tuple(
        replace(module, layer=narrowed[module.name]) if module.name in narrowed else module for module in unit.modules
    )
    return replace(unit, nodes=tuple(map(changed, unit.nodes)), modules=modules)


def _narrowed(norm: AddedNorm) -> AddedNorm:
    return AddedNorm(norm=norm.of, branch=norm.branch, optional=norm.optional, dropout=norm.dropout, narrow=True)


def _goes_to_products(value: Value, unit: Unit) -> bool:
    """Whether all that reads it is a product, be it in a block that it is handed to."""
    readers = list(_readers(value, unit))
    return len(readers) == uses(unit)[value] and all(_multiplies(node, value, unit) for node in readers)


def _readers(value: Value, unit: Unit) -> Iterator[Node]:
    """A node for each time that one reads it."""
    for node in all_nodes(unit.nodes):
        for given in node.inputs:
            if given is value:
                yield node


def _multiplies(node: Node, value: Value, unit: Unit) -> bool:
    if isinstance(node.op, Apply):
        layer = node.op.layer
        return node.inputs[0] is value and (layer.autocast == "low" or isinstance(layer, LossHead))
    module = unit.module(node.module) if isinstance(node.op, Run) and node.module else None
    if not isinstance(module, UnitModule):
        return False
    places = [inner for given, inner in zip(node.inputs, module.unit.inputs, strict=True) if given is value]
    return all(_goes_to_products(inner, module.unit) for inner in places)
