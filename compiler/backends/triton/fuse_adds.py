"""The sum at the end of a residual and the norm behind it become one step, which reads and writes the stream once.

before   x = x + attn(norm(x))            after   b = attn(norm(x))
         x = x + mlp(mlp_norm(x))                 x, h = mlp_norm(x, b)
                                                  x = x + mlp(h)

before   x = norm(x + attn(x))            after   _, x = norm(x, attn(x))

Copies that begin with such a norm and end with such a sum leave it to the next copy, or to what comes after them:

before   for block in blocks:             after   h = None
             x = block(x)                         for block in blocks:
         x = norm(x)                                  x, h = block(x, h)
                                                  _, x = norm(x, h)
Dropout at the end of a branch goes along: `h = drop(attn(h))` and `norm(x, h)` become `norm(x, attn(h))`. A residual
that is fused on neither side stays as it is; no key of the checkpoint changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...ir.graph import (
    Apply,
    Borrowed,
    Graph,
    LayerModule,
    Module,
    Node,
    Pointwise,
    Region,
    Residual,
    RunCarrying,
    Unit,
    Value,
    with_regions,
)
from ...ir.units import units_in, with_units
from ...layers.dropout import Dropout
from ...layers.side import Side
from ...semantics.tensor import Tensor
from .added_norm import AddedNorm
from .handed_on import copies_of, handing_copies
from .sums_before_norms import SumsBeforeNorms


def fuse_adds(graph: Graph) -> Graph:
    units = list(units_in(graph.model))
    lent = {module.path[-1] for unit in units for module in unit.modules if isinstance(module, Borrowed)}
    # By their nodes, which `with_units` hands on as they are.
    handed = {id(around.nodes): dict(handing_copies(around, lent)) for around in units}
    carrying = {
        id(unit.nodes): dropout
        for around in units
        for name, dropout in handed[id(around.nodes)].items()
        for unit in copies_of(around, name)
    }

    def fused(unit: Unit) -> Unit:
        own = id(unit.nodes)
        carried = _Carried(own in carrying, carrying.get(own), handed.get(own, {}), optional=bool(carrying))
        fusing = _Fusing(unit, lent, carried)
        nodes = fusing.nodes(unit.nodes)
        modules = tuple(fusing.module(module) for module in unit.modules if module.name not in fusing.gone)
        changed = replace(unit, nodes=nodes, modules=modules)
        if fusing.branch is None:
            return changed
        stream, *others = unit.inputs
        return replace(changed, inputs=(stream, fusing.branch, *others), outputs=fusing.left, optional=(fusing.branch,))

    return with_units(graph, fused)


@dataclass(frozen=True)
class _Carried:
    """What a unit has to do with sums that are handed on."""

    carries: bool
    """Whether it takes one up at its beginning, and leaves one."""
    dropout: Dropout | None
    """What the branch that it leaves still has to go through."""
    handed: Mapping[str, Dropout | None]
    """The same of its copies that carry, by the names of their modules."""
    optional: bool
    """Whether norms of this graph may get no branch."""


class _Fusing:
    """The nodes of one unit, anew."""

    def __init__(self, unit: Unit, lent: set[str], carried: _Carried) -> None:
        self.unit = unit
        self.carried = carried
        self.fused: dict[str, AddedNorm] = {}
        """The norms that take a branch, by the names of their modules."""
        self.gone: set[str] = set()
        """The modules that these norms have taken over."""
        self.branch = Value(unit.inputs[0].type) if carried.carries else None
        """What comes in beside the stream, where the unit takes up the sum of the copy before."""
        self.left: tuple[Value, ...] = unit.outputs
        """Of a unit that carries: the stream, and what is to be added to it."""
        self.sums = SumsBeforeNorms(unit, lent, carried.handed, self.branch)

    def module(self, module: Module) -> Module:
        norm = self.fused.get(module.name)
        return module if norm is None or not isinstance(module, LayerModule) else replace(module, layer=norm)

    def nodes(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """A flow from one node to the next, and the flows inside them."""
        norms, receivers = self.sums.pairs(nodes)
        gone = {id(norm) for norm in norms.values()}
        out: list[Node] = []
        for node in nodes:
            if id(node) in gone:
                continue
            op = node.op
            norm = norms.get(node.output) if node.outputs else None
            if self.sums.hands_on(node):
                out += self._run_carrying(node, norm)
            elif isinstance(op, Residual) and (norm is not None or node in receivers or self._is_left(node)):
                out += self._taken_apart(node, op, norm, received=node in receivers)
            else:
                out.append(replace(node, op=with_regions(op, self._region)))
        return tuple(out)

    def _run_carrying(self, node: Node, norm: Node | None) -> Iterator[Node]:
        """The copies, and the sum that the last of them has left."""
        stream, branch = Value(node.inputs[0].type), Value(node.output.type)
        yield replace(node, op=RunCarrying(), outputs=(stream, branch))
        yield self._summed(node, stream, branch, norm, node.output, self.carried.handed[node.module or ""])

    def _is_left(self, node: Node) -> bool:
        """Whether its sum is what the unit leaves to the next copy."""
        return self.branch is not None and node.outputs[:1] == self.unit.outputs

    def _region(self, region: Region) -> Region:
        return Region(region.input, self.nodes(region.nodes), region.output)

    def _taken_apart(self, node: Node, op: Residual, norm: Node | None, *, received: bool) -> Iterator[Node]:
        """The branch, then the norm that takes it and the stream, or a plain sum."""
        x = node.inputs[0]
        branch = op.branch
        inner, added = branch.nodes, branch.output
        dropout = (
            self.carried.dropout if self._is_left(node) else None if norm is None else self.sums.dropout_of(branch)
        )
        if dropout is not None:
            # The norm that takes the branch drops its entries, too.
            self.gone.add(inner[-1].module or "")
            inner, added = inner[:-1], inner[-1].inputs[0]
        if received:
            if self.branch is not None and x is self.unit.inputs[0]:
                # The stream is what comes in and what was left to be added to it.
                total = Value(x.type)
                yield self._summed(inner[0], x, self.branch, inner[0], total, self.carried.dropout)
                x = total
            inner = inner[1:]
        yield from (_reading(one, branch.input, x) for one in self.nodes(inner))
        if self._is_left(node):
            self.left = (x, added)
            return
        if norm is None or op.after is None:
            yield self._summed(node, x, added, norm, node.output, dropout)
        else:
            # The sum behind which a norm stands as the residual's own is read by nothing.
            norm = replace(norm, outputs=node.outputs)
            yield self._summed(node, x, added, norm, Value(x.type), dropout)

    def _summed(
        self, node: Node, x: Value, branch: Value, norm: Node | None, total: Value, dropout: Dropout | None
    ) -> Node:
        """x + branch by the norm that takes over, or by itself."""
        if norm is None:
            return Node(Pointwise("+"), (x, branch), (total,), node.span)
        assert isinstance(norm.op, Apply)
        assert isinstance(branch.type, Tensor)
        side = Side(branch.type, 1)
        layer = AddedNorm(norm=norm.op.layer, branch=side, optional=self.carried.optional, dropout=dropout)
        self.fused[norm.module or ""] = layer
        return replace(norm, op=Apply(layer), inputs=(x, branch), outputs=(total, norm.output))


def _reading(node: Node, old: Value, new: Value) -> Node:
    """The node with one value read in place of another, by the flows inside it too."""

    def region(inner: Region) -> Region:
        output = new if inner.output is old else inner.output
        return Region(inner.input, tuple(_reading(one, old, new) for one in inner.nodes), output)

    inputs = tuple(new if value is old else value for value in node.inputs)
    return replace(node, op=with_regions(node.op, region), inputs=inputs)
