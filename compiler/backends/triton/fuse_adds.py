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

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...ir.graph import (
    Apply,
    Borrowed,
    Copies,
    Graph,
    LayerModule,
    Module,
    Momentum,
    Node,
    Pointwise,
    Region,
    Residual,
    RunCarrying,
    RunCopies,
    Unit,
    Value,
    with_regions,
)
from ...ir.units import units_in, with_units
from ...layers.dropout import Dropout
from ...layers.layer_norm import LayerNorm
from ...layers.rms_norm import RMSNorm
from ...layers.side import Side
from ...semantics.number import references
from ...semantics.tensor import Tensor
from ..pytorch.reads import all_nodes
from .added_norm import AddedNorm
from .norm_features import norm_features
from .variant import NoKernel


def fuse_adds(graph: Graph) -> Graph:
    units = list(units_in(graph.model))
    lent = {module.path[-1] for unit in units for module in unit.modules if isinstance(module, Borrowed)}
    # By their nodes, which `with_units` hands on as they are.
    handed = {id(around.nodes): dict(_carried(around, lent)) for around in units}
    carrying = {
        id(unit.nodes): dropout
        for around in units
        for name, dropout in handed[id(around.nodes)].items()
        for unit in _copies(around, name)
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

    carries: bool = False
    """Whether it takes one up at its beginning, and leaves one."""
    dropout: Dropout | None = None
    """What the branch that it leaves still has to go through."""
    handed: Mapping[str, Dropout | None] = field(default_factory=dict)
    """The same of its copies that carry, by the names of their modules."""
    optional: bool = False
    """Whether norms of this graph may get no branch."""


def _carried(unit: Unit, lent: set[str]) -> Iterator[tuple[str, Dropout | None]]:
    """The copies that hand their last sums on: each begins with a norm of the stream, and ends with a residual.

    With what their branches have yet to go through: a Dropout that is alike in all of them, and outside them.
    """
    runs = Counter(node.module for node in all_nodes(unit.nodes) if node.module is not None)
    at_once = {node.module for node in unit.nodes}
    for module in unit.modules:
        if not isinstance(module, Copies) or runs[module.name] != 1 or module.name in lent or not module.units:
            continue
        if module.name in at_once and all(_carries(one, lent) for one in module.units):
            last = [_Fusing(one, lent, _Carried()).dropout_of(_last(one)) for one in module.units]
            numbers = {None if one is None else one.p.value for one in last}
            outside = all(one is None or all(r.kind == "constant" for r in references(one.p)) for one in last)
            norms, _ = _Fusing(unit, lent, _Carried(handed={module.name: None})).pairs(unit.nodes)
            taken = any(node.module == module.name and node.output in norms for node in unit.nodes)
            yield module.name, last[0] if len(numbers) == 1 and outside and taken else None


def _copies(unit: Unit, name: str) -> tuple[Unit, ...]:
    module = unit.module(name)
    assert isinstance(module, Copies)
    return module.units


def _last(unit: Unit) -> Region:
    """The branch that a copy ends with."""
    op = next(node.op for node in unit.nodes if node.outputs and node.output is unit.outputs[0])
    assert isinstance(op, Residual)
    return op.branch


def _carries(unit: Unit, lent: set[str]) -> bool:
    stream = unit.inputs[0]
    readers = [node for node in all_nodes(unit.nodes) if any(value is stream for value in node.inputs)]
    sums = [node for node in unit.nodes if node.outputs and node.output is unit.outputs[0]]
    if len(readers) != 1 or readers[0] not in unit.nodes or len(sums) != 1 or len(unit.outputs) != 1:
        return False
    (first,), (last,) = readers, sums
    read_again = any(value is last.output for node in all_nodes(unit.nodes) for value in node.inputs)
    begins = _Fusing(unit, lent, _Carried()).begins_with_norm(first)
    return not read_again and begins and isinstance(last.op, Residual) and _is_sum(last, last.op)


class _Fusing:
    """The nodes of one unit, anew."""

    def __init__(self, unit: Unit, lent: set[str], carried: _Carried) -> None:
        self.unit = unit
        self.carried = carried
        self.runs = Counter(node.module for node in all_nodes(unit.nodes) if node.module is not None)
        self.alone = {
            module.name: module
            for module in unit.modules
            if isinstance(module, LayerModule)
            and module.tie is None
            and self.runs[module.name] == 1
            and module.name not in lent
        }
        """Those that nothing else runs or copies."""
        for module in unit.modules:
            if isinstance(module, Momentum):
                self.alone.pop(module.of.name, None)
        self.fused: dict[str, AddedNorm] = {}
        """The norms that take a branch, by the names of their modules."""
        self.gone: set[str] = set()
        """The modules that these norms have taken over."""
        self.branch = Value(unit.inputs[0].type) if carried.carries else None
        """What comes in beside the stream, where the unit takes up the sum of the copy before."""
        self.left: tuple[Value, ...] = unit.outputs
        """Of a unit that carries: the stream, and what is to be added to it."""

    def module(self, module: Module) -> Module:
        norm = self.fused.get(module.name)
        return module if norm is None or not isinstance(module, LayerModule) else replace(module, layer=norm)

    def nodes(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """A flow from one node to the next, and the flows inside them."""
        norms, receivers = self.pairs(nodes)
        gone = {id(norm) for norm in norms.values()}
        out: list[Node] = []
        for node in nodes:
            if id(node) in gone:
                continue
            op = node.op
            norm = norms.get(node.output) if node.outputs else None
            if self._runs_carrying(node):
                out += self._run_carrying(node, norm)
            elif isinstance(op, Residual) and (norm is not None or node in receivers or self._is_left(node)):
                out += self._taken_apart(node, op, norm, received=node in receivers)
            else:
                out.append(replace(node, op=with_regions(op, self._region)))
        return tuple(out)

    def _runs_carrying(self, node: Node) -> bool:
        return isinstance(node.op, RunCopies) and node.module in self.carried.handed

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

    def pairs(self, nodes: tuple[Node, ...]) -> tuple[dict[Value, Node], set[Node]]:
        """The norm that takes the sum of a residual, by the sum; and the residuals that begin with such a norm."""
        sums = {node.output for node in nodes if isinstance(node.op, Residual) and _is_sum(node, node.op)}
        sums |= {node.output for node in nodes if self._runs_carrying(node)}
        if self.branch is not None:
            sums.add(self.unit.inputs[0])
        norms: dict[Value, Node] = {}
        receivers: set[Node] = set()
        for node in nodes:
            if isinstance(node.op, Residual) and node.op.after is not None:
                after = node.op.after
                alone = len(after.nodes) == 1 and after.nodes[0].output is after.output
                fits = alone and after.nodes[0].inputs == (after.input,) and self._fits(after.nodes[0])
                if fits and _plain(node, node.op):
                    norms[node.output] = after.nodes[0]
                continue
            entering = node.inputs[0] if node.inputs else None
            if entering is None or entering not in sums or entering in norms:
                continue
            if isinstance(node.op, Residual) and _is_sum(node, node.op):
                if self.begins_with_norm(node):
                    norms[entering] = node.op.branch.nodes[0]
                    receivers.add(node)
            elif node.inputs == (entering,) and self._fits(node):
                norms[entering] = node
        return norms, receivers

    def begins_with_norm(self, node: Node) -> bool:
        """Whether it is a residual whose branch does, and reads the stream for nothing else."""
        if not isinstance(node.op, Residual) or not _is_sum(node, node.op):
            return False
        branch = node.op.branch
        first = branch.nodes[0]
        once = sum(value is branch.input for one in all_nodes(branch.nodes) for value in one.inputs) == 1
        return first.inputs == (branch.input,) and once and self._fits(first)

    def _fits(self, node: Node) -> bool:
        """Whether it is a norm with kernels, whose module nothing else runs."""
        if not isinstance(node.op, Apply) or node.module not in self.alone:
            return False
        layer, x = node.op.layer, node.inputs[0].type
        if not isinstance(layer, LayerNorm | RMSNorm) or not isinstance(x, Tensor):
            return False
        try:
            norm_features(layer, x)
        except NoKernel:
            return False
        return True

    def dropout_of(self, branch: Region) -> Dropout | None:
        """The Dropout that a branch ends with, where nothing else runs or reads it."""
        last = branch.nodes[-1]
        if not isinstance(last.op, Apply) or not isinstance(last.op.layer, Dropout) or last.module not in self.alone:
            return None
        return last.op.layer if last.output is branch.output and len(branch.nodes) > 1 else None

    def _taken_apart(self, node: Node, op: Residual, norm: Node | None, *, received: bool) -> Iterator[Node]:
        """The branch, then the norm that takes it and the stream, or a plain sum."""
        x = node.inputs[0]
        branch = op.branch
        inner, added = branch.nodes, branch.output
        dropout = self.carried.dropout if self._is_left(node) else None if norm is None else self.dropout_of(branch)
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


def _is_sum(node: Node, op: Residual) -> bool:
    return op.after is None and _plain(node, op)


def _plain(node: Node, op: Residual) -> bool:
    """Whether it is x + branch(x) and nothing else, over one type."""
    return (
        op.skip is None
        and op.gate is None
        and op.scale is None
        and op.shrink is None
        and bool(op.branch.nodes)
        and str(node.inputs[0].type) == str(op.branch.output.type)
    )


def _reading(node: Node, old: Value, new: Value) -> Node:
    """The node with one value read in place of another, by the flows inside it too."""

    def region(inner: Region) -> Region:
        output = new if inner.output is old else inner.output
        return Region(inner.input, tuple(_reading(one, old, new) for one in inner.nodes), output)

    inputs = tuple(new if value is old else value for value in node.inputs)
    return replace(node, op=with_regions(node.op, region), inputs=inputs)
