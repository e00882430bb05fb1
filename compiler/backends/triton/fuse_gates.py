"""An activation and the product that it goes into become one step, which reads and writes each value once.

before   x = F.silu(self.gate(x)) * self.up(x)        after   x = silu_gated(self.gate(x), self.up(x))

before   a, b = self.both(x).chunk(2, -1)             after   x = silu_gated(self.both(x))
         x = F.silu(a) * b

Either side may be the activation. One that is read elsewhere too stays as it is, and so does a product that spreads
its sides over one another. These are functions: no key of the checkpoint changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ...ir.graph import Apply, Graph, Node, Pointwise, Region, Unit, Value, with_regions
from ...ir.reads import uses
from ...ir.units import with_units
from ...layers.side import Side
from ...layers.split import Split
from ...scalars.expression import variables
from ...semantics.tensor import Tensor, same
from .entry_functions import named_function, settled
from .gated import Gated


def fuse_gates(graph: Graph) -> Graph:
    return with_units(graph, _unit)


def _unit(unit: Unit) -> Unit:
    return replace(unit, nodes=_nodes(unit.nodes, uses(unit)))


def _nodes(nodes: tuple[Node, ...], read: Counter[Value]) -> tuple[Node, ...]:
    """A flow, and the flows inside it. `read`: how often the unit reads a value."""
    makers = {value: node for node in nodes for value in node.outputs}
    fused: dict[Node, Node] = {}
    gone: set[Node] = set()
    for node in nodes:
        if node.op != Pointwise("*") or len(node.inputs) != 2:
            continue
        for gate, up in (node.inputs, node.inputs[::-1]):
            maker = makers.get(gate)
            found = None if maker is None or read[gate] > 1 else _gated(maker, up)
            if maker is None or found is None:
                continue
            fused[node] = replace(node, op=Apply(found), inputs=(*maker.inputs, up))
            gone.add(maker)
            split = _halves(maker.inputs[0], up, makers, read)
            if split is not None:
                joined = Gated(name=found.name, activation=found.activation, gate_first=up is split.outputs[1])
                fused[node] = replace(node, op=Apply(joined), inputs=split.inputs)
                gone.add(split)
            break

    def region(inner: Region) -> Region:
        return Region(inner.input, _nodes(inner.nodes, read), inner.output)

    left = (fused.get(node, node) for node in nodes if node not in gone)
    return tuple(replace(node, op=with_regions(node.op, region)) for node in left)


def _halves(gate: Value, up: Value, makers: Mapping[Value, Node], read: Counter[Value]) -> Node | None:
    """What splits one value into these two, along its last axis, for nothing else."""
    split = makers.get(gate)
    if split is None or set(split.outputs) != {gate, up} or read[gate] > 1 or read[up] > 1:
        return None
    x = split.inputs[0].type
    if not isinstance(split.op, Apply) or not isinstance(split.op.layer, Split) or not isinstance(x, Tensor):
        return None
    return split if x.channel_axis in (-1, x.rank - 1) and x.dims[-1].value is not None else None


def _gated(maker: Node, up: Value) -> Gated | None:
    """The step that computes an activation and its product with `up`, over one shape."""
    x = maker.inputs[0].type if len(maker.inputs) == 1 else None
    if not isinstance(x, Tensor) or not isinstance(up.type, Tensor) or x.dtype != "float" or not same(x, up.type):
        return None
    named = named_function(maker.op)
    if named is None or maker.module is not None:
        return None
    name, expression = named[0], settled(named[1])
    # What does not depend on the gate, as x^0, needs no kernel that reads it.
    return Gated(name=name, activation=expression, up=Side(up.type, 1)) if variables(expression) else None
