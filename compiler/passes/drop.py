"""Layers that do nothing go: `f -> Dropout(0) -> g` is `f -> g`.

before   x = Dropout(0)(x)        after   (nothing: what read the output reads the input)
Weightless layers only, so no key of the checkpoint changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir.graph import Apply, Copies, Graph, LayerModule, Node, Region, Residual, Unit, UnitModule, Value
from ..layers.base import Layer


def drop_idle(graph: Graph) -> Graph:
    """Without the layers that are the identity with their options: Dropout(0) = identity."""
    return _drop(graph, lambda layer: layer.idle())


def drop_training_only(graph: Graph) -> Graph:
    """Without what is the identity in evaluation: Dropout(p) = identity there."""
    return _drop(graph, lambda layer: layer.trains_only)


def _drop(graph: Graph, goes: Callable[[Layer], bool]) -> Graph:
    done: dict[Unit, Unit] = {}

    def unit_without(unit: Unit) -> Unit:
        if unit in done:
            return done[unit]
        stands_for: dict[Value, Value] = {}
        nodes = nodes_without(unit.nodes, stands_for)
        modules = tuple(
            replace(m, unit=unit_without(m.unit))
            if isinstance(m, UnitModule)
            else replace(m, units=tuple(map(unit_without, m.units)))
            if isinstance(m, Copies)
            else m
            for m in unit.modules
            if not (isinstance(m, LayerModule) and goes(m.layer))
        )
        outputs = tuple(_seen(value, stands_for) for value in unit.outputs)
        done[unit] = replace(unit, nodes=nodes, modules=modules, outputs=outputs)
        return done[unit]

    def nodes_without(nodes: tuple[Node, ...], stands_for: dict[Value, Value]) -> tuple[Node, ...]:
        kept: list[Node] = []
        for node in nodes:
            inputs = tuple(_seen(value, stands_for) for value in node.inputs)
            if isinstance(node.op, Apply) and goes(node.op.layer):
                stands_for[node.output] = inputs[0]
                continue
            op = node.op
            if isinstance(op, Residual):
                after = region_without(op.after, stands_for) if op.after else None
                op = Residual(region_without(op.branch, stands_for), after)
            kept.append(replace(node, op=op, inputs=inputs))
        return tuple(kept)

    def region_without(region: Region, stands_for: dict[Value, Value]) -> Region:
        nodes = nodes_without(region.nodes, stands_for)
        return Region(region.input, nodes, _seen(region.output, stands_for))

    return replace(graph, model=unit_without(graph.model))


def _seen(value: Value, stands_for: dict[Value, Value]) -> Value:
    while value in stands_for:
        value = stands_for[value]
    return value
