"""Layers that do nothing go: `f -> Dropout(0) -> g` is `f -> g`.

before   x = Dropout(0)(x)        after   (nothing: what read the output reads the input)
Weightless layers only, so no key of the checkpoint changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir.graph import Apply, Graph, LayerModule, Node, Region, Unit, Value, with_regions
from ..ir.units import with_units
from ..layers.base import Layer


def drop_idle(graph: Graph) -> Graph:
    """Without the layers that are the identity with their options: Dropout(0) = identity."""
    return _drop(graph, lambda layer: layer.idle())


def drop_training_only(graph: Graph) -> Graph:
    """Without what is the identity in evaluation: Dropout(p) = identity there."""
    return _drop(graph, lambda layer: layer.trains_only)


def _drop(graph: Graph, goes: Callable[[Layer], bool]) -> Graph:
    def unit_without(unit: Unit) -> Unit:
        stands_for: dict[Value, Value] = {}
        nodes = nodes_without(unit.nodes, stands_for)
        modules = tuple(m for m in unit.modules if not (isinstance(m, LayerModule) and goes(m.layer)))
        outputs = tuple(_seen(value, stands_for) for value in unit.outputs)
        return replace(unit, nodes=nodes, modules=modules, outputs=outputs)

    def nodes_without(nodes: tuple[Node, ...], stands_for: dict[Value, Value]) -> tuple[Node, ...]:
        kept: list[Node] = []
        for node in nodes:
            inputs = tuple(_seen(value, stands_for) for value in node.inputs)
            if isinstance(node.op, Apply) and goes(node.op.layer):
                stands_for[node.output] = inputs[0]
                continue
            op = with_regions(node.op, lambda region: region_without(region, stands_for))
            kept.append(replace(node, op=op, inputs=inputs))
        return tuple(kept)

    def region_without(region: Region, stands_for: dict[Value, Value]) -> Region:
        nodes = nodes_without(region.nodes, stands_for)
        return Region(region.input, nodes, _seen(region.output, stands_for))

    return with_units(graph, unit_without)


def _seen(value: Value, stands_for: dict[Value, Value]) -> Value:
    while value in stands_for:
        value = stands_for[value]
    return value
