"""Which norms can take a sum over, and the sums that they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...ir.graph import Apply, LayerModule, Momentum, Node, Region, Residual, RunCopies, Unit, Value, all_nodes
from ...layers.dropout import Dropout
from ...layers.layer_norm import LayerNorm
from ...layers.rms_norm import RMSNorm
from ...semantics.tensor import Tensor
from .norm_features import norm_features
from .variant import NoKernel


class SumsBeforeNorms:
    """Of one unit. `lent` are the modules that other units run, too; `handing` its copies that hand their last sum on;
    `branch` what comes in beside its first input, where the sum of both is still to be made."""

    def __init__(
        self, unit: Unit, lent: set[str], handing: Mapping[str, Dropout | None], branch: Value | None = None
    ) -> None:
        self.unit, self.branch, self.handing = unit, branch, handing
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

    def hands_on(self, node: Node) -> bool:
        """Whether it runs copies that leave a sum to be made."""
        return isinstance(node.op, RunCopies) and node.module in self.handing

    def pairs(self, nodes: tuple[Node, ...]) -> tuple[dict[Value, Node], set[Node]]:
        """The norm that takes the sum of a residual, by the sum; and the residuals that begin with such a norm."""
        sums = {node.output for node in nodes if isinstance(node.op, Residual) and is_sum(node, node.op)}
        sums |= {node.output for node in nodes if self.hands_on(node)}
        if self.branch is not None:
            sums.add(self.unit.inputs[0])
        norms: dict[Value, Node] = {}
        receivers: set[Node] = set()
        for node in nodes:
            if isinstance(node.op, Residual) and node.op.after is not None:
                after = node.op.after
                alone = len(after.nodes) == 1 and after.nodes[0].output is after.output
                fits = alone and after.nodes[0].inputs == (after.input,) and self._fits(after.nodes[0])
                if fits and is_plain(node, node.op):
                    norms[node.output] = after.nodes[0]
                continue
            entering = node.inputs[0] if node.inputs else None
            if entering is None or entering not in sums or entering in norms:
                continue
            if isinstance(node.op, Residual) and is_sum(node, node.op):
                if self.begins_with_norm(node):
                    norms[entering] = node.op.branch.nodes[0]
                    receivers.add(node)
            elif node.inputs == (entering,) and self._fits(node):
                norms[entering] = node
        return norms, receivers

    def begins_with_norm(self, node: Node) -> bool:
        """Whether it is a residual whose branch does, and reads the stream for nothing else."""
        if not isinstance(node.op, Residual) or not is_sum(node, node.op):
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


def is_sum(node: Node, op: Residual) -> bool:
    return op.after is None and is_plain(node, op)


def is_plain(node: Node, op: Residual) -> bool:
    """Whether it is x + branch(x) and nothing else, over one type."""
    return (
        op.skip is None
        and op.gate is None
        and op.scale is None
        and op.shrink is None
        and bool(op.branch.nodes)
        and str(node.inputs[0].type) == str(op.branch.output.type)
    )
