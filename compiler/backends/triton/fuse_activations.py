"""A Linear with a bias and the activation behind it become one step, which sums the bias's gradient on the way.

before   x = F.gelu(self.fc(x))        after   x = gelu_linear(x, self.fc)

An activation that keeps its result for the backward pass (relu, tanh) stays by itself: the step keeps what went in, and
that would be kept besides. No key of the checkpoint changes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...ir.graph import Apply, Graph, LayerModule, Node, Region, Unit, Value, with_regions
from ...ir.reads import uses
from ...ir.units import with_units
from ...layers.linear import Linear
from ...scalars.differentiate import differentiate
from ...scalars.expression import Expression, variables
from ...semantics.tensor import Tensor
from .activated import ActivatedLinear
from .entry_functions import named_function, settled


def fuse_activations(graph: Graph) -> Graph:
    return with_units(graph, _unit)


def _unit(unit: Unit) -> Unit:
    fused: dict[str, ActivatedLinear] = {}
    nodes = _nodes(unit.nodes, unit, uses(unit), fused)
    modules = tuple(
        replace(module, layer=fused[module.name])
        if isinstance(module, LayerModule) and module.name in fused
        else module
        for module in unit.modules
    )
    return replace(unit, nodes=nodes, modules=modules)


def _nodes(
    nodes: tuple[Node, ...], unit: Unit, read: Counter[Value], fused: dict[str, ActivatedLinear]
) -> tuple[Node, ...]:
    """A flow, and the flows inside it. `read`: how often the unit reads a value; `fused` gets the steps by their
    modules."""
    makers = {value: node for node in nodes for value in node.outputs}
    steps: dict[Node, Node] = {}
    gone: set[Node] = set()
    for node in nodes:
        maker = makers.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if maker is None or maker.module is None or read[node.inputs[0]] > 1:
            continue
        step = _activated(maker, node) if unit.borrowed(maker.module) is None else None
        if step is not None:
            fused[maker.module] = step
            steps[maker] = replace(maker, op=Apply(step), outputs=node.outputs)
            gone.add(node)

    def region(inner: Region) -> Region:
        return Region(inner.input, _nodes(inner.nodes, unit, read, fused), inner.output)

    left = (steps.get(node, node) for node in nodes if node not in gone)
    return tuple(replace(node, op=with_regions(node.op, region)) for node in left)


def _activated(maker: Node, node: Node) -> ActivatedLinear | None:
    """Of a Linear and what stands behind it, where that is an activation and rows are many."""
    x = maker.inputs[0].type
    if not isinstance(maker.op, Apply) or not isinstance(x, Tensor) or node.module is not None:
        return None
    linear, named = maker.op.layer, named_function(node.op)
    if not isinstance(linear, Linear) or not linear.bias or x.rank < 3 or named is None:
        return None
    y = node.inputs[0].type
    assert isinstance(y, Tensor)
    if isinstance(node.op, Apply) and node.op.layer.keeps(y, "cuda").output:
        return None
    name, expression = named[0], settled(named[1])
    return ActivatedLinear(linear=linear, name=name, activation=expression) if _bends(expression) else None


def _bends(expression: Expression) -> bool:
    """Whether the slope depends on what comes in: the backward pass of 2 * x or floor(x) has no use for that."""
    return bool(variables(differentiate(expression, "x")))
