"""Residuals of a `forward`: `x = x + self.attn(self.attn_norm(x))` where the branch is a short chain of modules."""

from __future__ import annotations

from ...ir.graph import Apply, Node, Region, Residual, Run, RunExperts, Value, input_type
from ...layers.side import hole
from .expression import HOLE, LONG, Expression, fill, joined
from .lending import handed_on
from .statements import Statements

_CHAIN = 3
"""So many modules at most stand nested in one residual."""


def write_residual(node: Node, op: Residual, statements: Statements) -> None:
    """`x = side + branch`, the branch in lines of its own where it is more than a short chain."""
    entering = node.inputs[0]
    x = statements.operand(entering, alone=True)
    statements.left[entering] += 1  # x is still to be added, so no line of the branch may take its variable
    branch = _inside(op.branch, x, statements)
    side = x if op.skip is None else _inside(op.skip, x, statements)
    if op.gate is not None:
        gate = _inside(op.gate, x, statements)
        gate = gate if gate.is_name else statements.bind(op.gate.output, gate)
        branch = joined(gate, "*", branch)
        side = joined(joined(Expression("1"), "-", gate), "*", side)
        side, branch = branch, side
    elif op.scale is not None:
        side = joined(statements.number(op.scale), "*", side)
    statements.left[entering] -= 1
    statements.left.subtract(region.output for region in op.regions if region is not op.after)
    total = joined(side, "+", branch)
    if op.after is not None:
        total = _after(op.after, total, statements)
    statements.known[node.output] = total
    statements.bind(node.output, total)


def _inside(region: Region, x: Expression, statements: Statements) -> Expression:
    """A flow inside an operation: one nested call where it is a short chain, else lines, and their result.

    The result is not taken yet, so that no line takes the variables that it reads.
    """
    chain = _chain(region, x, statements)
    if chain is not None:
        statements.known[region.output] = chain
    else:
        statements.known[region.input] = x
        statements.write(region.nodes)
    return statements.known[region.output]


def _after(after: Region, total: Expression, statements: Statements) -> Expression:
    """The norm of a post-norm residual takes the sum in place, where it is one short call."""
    single = len(after.nodes) == 1 and isinstance(after.nodes[0].op, Apply) and len(after.nodes[0].inputs) == 1
    statements.known[after.input] = total
    if single:
        node = after.nodes[0]
        template = _layer_called(node, statements)
        text = fill(template, total.text)
        if template.count(HOLE) == 1 and len(text) <= LONG:
            statements.left[after.input] -= 1
            return Expression(text, total.reads, total.modules + 1)
    statements.write(after.nodes)
    return statements.take(after.output)


def _chain(branch: Region, x: Expression, statements: Statements) -> Expression | None:
    """The branch as one nested call, where it is a short chain of modules and nothing else."""
    text, value, reads = x.text, branch.input, x.reads
    beside: list[Value] = []
    for node in branch.nodes:
        runs = isinstance(node.op, Apply | Run | RunExperts) and node.module is not None
        others = node.inputs[1:]
        at_hand = all(other in statements.known and statements.known[other].is_name for other in others)
        in_line = node.inputs[:1] == (value,) and at_hand
        if not runs or not in_line or len(node.outputs) != 1 or node.output.name is not None:
            return None
        module = statements.unit.module(node.module or "")
        handed = handed_on(module, statements.lent)
        holes = [hole(place) for place in range(len(node.inputs))]
        template = f"{statements.module_text(node)}({', '.join([*holes, *handed])})"
        if isinstance(node.op, Apply):
            template = _layer_called(node, statements)
        if template.count(HOLE) != 1:
            return None
        for place, other in enumerate(others, 1):
            template = fill(template, statements.known[other].text, hole(place))
            reads |= statements.known[other].reads
        beside += others
        text, value = fill(template, text), node.output
    modules = len(branch.nodes)
    if value is not branch.output or not 1 <= modules <= _CHAIN or len(text) > LONG:
        return None
    statements.left.subtract(beside)
    return Expression(text, reads, modules)


def _layer_called(node: Node, statements: Statements) -> str:
    """The call of a layer, with a hole for what flows into it."""
    assert isinstance(node.op, Apply)
    return node.op.layer.call(statements.module_text(node), HOLE, input_type(node), statements.code)
