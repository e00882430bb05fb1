"""Layers that do nothing go: `f -> Dropout(0) -> g` is `f -> g`.

before   x = Dropout(0)(x)        after   (nothing: what read the output reads the input)
Weightless layers only, so no key of the checkpoint changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir.graph import (
    Apply,
    Borrowed,
    Copies,
    Experts,
    Graph,
    LayerModule,
    Module,
    Momentum,
    Node,
    Region,
    Unit,
    UnitModule,
    Value,
    with_regions,
)
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
        kept = [m for m in unit.modules if not (isinstance(m, LayerModule) and goes(m.layer))]
        modules = tuple(map(module_without, kept))
        outputs = tuple(_seen(value, stands_for) for value in unit.outputs)
        done[unit] = replace(unit, nodes=nodes, modules=modules, outputs=outputs)
        return done[unit]

    def module_without(module: Module) -> Module:
        match module:
            case UnitModule():
                return replace(module, unit=unit_without(module.unit))
            case Copies() | Experts():
                return replace(module, units=tuple(map(unit_without, module.units)))
            case Momentum(of=UnitModule() as of):
                return replace(module, of=module_without(of))
            case Borrowed(module=UnitModule() | Copies() as lent):
                return replace(module, module=module_without(lent))
        return module

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

    return replace(graph, model=unit_without(graph.model))


def _seen(value: Value, stands_for: dict[Value, Value]) -> Value:
    while value in stands_for:
        value = stands_for[value]
    return value
