"""Loops of a `forward`: over the copies of a `repeat`, and over what shares its weights."""

from __future__ import annotations

from ...ir.graph import Copies, Node, Region
from ...semantics.number import Number
from .lending import handed_on
from .names import item_name
from .statements import Statements


def write_copies(node: Node, statements: Statements) -> None:
    """`for block in self.blocks: x = block(x)`."""
    copies, extras = _what_runs(node, statements)
    x = _start(node, statements)
    item = statements.loop_variable(item_name(copies))
    statements.lines += [
        f"for {item} in {statements.module_text(node)}:",
        f"    {x} = {item}({', '.join([x, *extras])})",
    ]
    statements.hold(node.output, x)


def write_carrying(node: Node, statements: Statements) -> None:
    """`h = None`, then `for block in self.blocks: x, h = block(x, h)`."""
    copies, extras = _what_runs(node, statements)
    stream = _start(node, statements)
    statements.hold(node.output, stream)
    branch = statements.free(node.outputs[1])
    item = statements.loop_variable(item_name(copies))
    statements.lines += [
        f"{branch}: Tensor | None = None",
        f"for {item} in {statements.module_text(node)}:",
        f"    {stream}, {branch} = {item}({', '.join([stream, branch, *extras])})",
    ]
    statements.hold(node.outputs[1], branch)


def write_loop(node: Node, count: Number, body: Region, statements: Statements) -> None:
    """`for _ in range(3): x = ...`: what runs several times may not take the variables of what is around it."""
    x = _start(node, statements)
    around = [value for value in statements.known if value is not node.output]
    statements.left.update(around)
    outside, statements.lines = statements.lines, []
    statements.known[body.input] = statements.known[node.output]
    statements.left[body.input] += 1
    statements.write(body.nodes)
    result = statements.take(body.output).text
    if result != x:
        statements.lines.append(f"{x} = {result}")
    statements.left.subtract(around)
    statements.left[body.input] -= 1
    inside, statements.lines = statements.lines, outside
    if inside:  # else the body did something only in training, which is not exported
        turn = "turn" if statements.discards else "_"
        head = f"for {turn} in range({statements.number(count).text}):"
        statements.lines += [head, *(f"    {line}" for line in inside)]
    statements.hold(node.output, x)


def _what_runs(node: Node, statements: Statements) -> tuple[Copies, list[str]]:
    """The copies, and what each of them gets beside what runs through them: further inputs, and modules."""
    copies = statements.unit.module(node.module or "")
    assert isinstance(copies, Copies)
    _, *further = statements.operands(node.inputs, [True] * len(node.inputs))
    statements.left[node.inputs[0]] += 1  # it is taken where the loop starts
    return copies, [*(value.text for value in further), *handed_on(copies, statements.lent)]


def _start(node: Node, statements: Statements) -> str:
    """A variable that holds what comes in, and that lines may write anew."""
    start = statements.operand(node.inputs[0], alone=True)
    statements.known[node.output] = start
    if start.text in statements.needed(node.output) or node.output.name is not None:
        name = statements.free(node.output)
        statements.lines.append(f"{name} = {start.text}")
        start = statements.hold(node.output, name)
    return start.text
