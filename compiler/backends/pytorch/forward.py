"""The statements of a `forward`: one for each step that a reader would name, nested only where that reads well.

A statement runs one module and the functions around it; a residual whose branch is a chain of modules is one
statement (`x = x + self.attn(self.attn_norm(x))`). The value that runs down the page is `x`, a branch's is `h`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from ...ir.graph import (
    Apply,
    Copies,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCopies,
    Unit,
    Value,
    input_type,
)
from ...layers.base import Code
from ...layers.side import hole
from ...semantics.number import MATHS, Number
from ...semantics.tensor import Tensor
from .expression import HOLE, Expression, fill, infix

_FRESH = ("x", "h", "y", "z", "u", "v", "w")
_CHAIN = 3
"""So many modules at most stand nested in one residual."""
_LONG = 84
"""A nested expression longer than this is taken apart."""


class Forward:
    """Writes the body of one unit's `forward`."""

    def __init__(self, unit: Unit, names: dict[Value, str], code: Code, item_name: Callable[[Copies], str]) -> None:
        self.unit, self.code, self.item_name = unit, code, item_name
        self.lines: list[str] = []
        self.given = set(map(safe_name, named_values(unit)))
        self.left = _uses(unit)
        self.known: dict[Value, Expression] = {v: Expression(n, frozenset({n})) for v, n in names.items()}
        self.holders: dict[str, Value] = {n: v for v, n in names.items()}

    def write(self) -> list[str]:
        self._nodes(self.unit.nodes)
        results = [self._take(value).text for value in self.unit.outputs]
        last = ", ".join(results)
        # `x = f(x); return x` says the same as `return f(x)`.
        if (
            len(results) == 1
            and self.lines
            and self.lines[-1].split("  # ")[0].startswith(f"{last} = ")
            and last.isidentifier()
        ):
            assigned = self.lines.pop()
            if not assigned.startswith(" "):
                self.lines.append(f"return {assigned.split('  # ')[0].removeprefix(f'{last} = ')}")
                return self.lines
            self.lines.append(assigned)
        self.lines.append(f"return {last}")
        return self.lines

    # --- values and variables ---

    def _take(self, value: Value) -> Expression:
        """The expression of a value, one use of it spent."""
        self.left[value] -= 1
        return self.known[value]

    def _bind(self, value: Value, expression: Expression, source: Value | None = None) -> Expression:
        """Put an expression into a variable."""
        name = self._free(value)
        rank_changes = isinstance(value.type, Tensor) and source is not None and isinstance(source.type, Tensor)
        comment = ""
        if rank_changes and value.type.rank != source.type.rank:  # type: ignore[union-attr]
            comment = f"  # {str(value.type).removeprefix('int').removeprefix('bool')}"
        self.lines.append(f"{name} = {expression.text}{comment}")
        return self._hold(value, name)

    def _hold(self, value: Value, name: str) -> Expression:
        held = Expression(name, frozenset({name}))
        self.known[value] = held
        self.holders[name] = value
        return held

    def _free(self, value: Value) -> str:
        """A variable for a value: the name it was given, else the first that holds nothing still needed."""
        if value.name is not None:
            name = safe_name(value.name)
            if name not in self._needed(value):
                return name
        needed = self._needed(value) | self.given
        number = 1
        while True:
            for stem in _FRESH:
                name = stem if number == 1 else f"{stem}{number}"
                if name not in needed:
                    return name
            number += 1

    def _needed(self, besides: Value) -> set[str]:
        """The variables that something yet unwritten reads, other than the value that is about to be written."""
        for value in [v for v in self.known if self.left[v] <= 0 and v is not besides]:
            del self.known[value]
        return {n for v, known in self.known.items() if v is not besides for n in known.reads}

    # --- nodes ---

    def _nodes(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self._node(node)

    def _node(self, node: Node) -> None:
        match node.op:
            case RunCopies():
                self._copies(node)
            case Residual(branch=branch, after=after):
                self._residual(node, branch, after)
            case Apply() | Run() | Pointwise():
                self._settle(node, self._expression(node))

    def _settle(self, node: Node, expression: Expression) -> None:
        """Keep an expression for its one use, or put it into a variable where it has several or a name."""
        if len(node.outputs) > 1:
            names = []
            for value in node.outputs:
                used = self.left[value] > 0
                names.append(self._free(value) if used else "_")
                if used:
                    self._hold(value, names[-1])
            self.lines.append(f"{', '.join(names)} = {expression.text}")
            return
        value = node.output
        self.known[value] = expression
        if value.name is not None or self.left[value] != 1 or len(expression.text) > _LONG:
            self._bind(value, expression, node.inputs[0] if node.inputs else None)

    def _expression(self, node: Node) -> Expression:
        match node.op:
            case Pointwise():
                return self._pointwise(node, node.op)
            case Apply(layer):
                module = f"self.{node.module}" if node.module else ""
                template = layer.call(module, HOLE, input_type(node), self.code)
                # What comes by keyword stands behind what comes by the arrow.
                first = 0 if layer.takes_running else 1
                operands = [
                    self._operand(value, alone=bool(module) or place > 0 or template.count(hole(place)) > 1)
                    for place, value in enumerate(node.inputs, first)
                ]
                for place, operand in enumerate(operands, first):
                    template = fill(template, operand.text, hole(place))
                reads = frozenset[str]().union(*(operand.reads for operand in operands))
                return Expression(template, reads, sum(o.modules for o in operands) + bool(module))
            case _:
                operands = [self._operand(value, alone=True) for value in node.inputs]
                reads = frozenset().union(*(o.reads for o in operands))
                return Expression(f"self.{node.module}({', '.join(o.text for o in operands)})", reads, 1)

    def _operand(self, value: Value, *, alone: bool) -> Expression:
        """What a node reads. `alone`: a module takes a variable, so that each step stands on a line of its own."""
        known = self.known[value]
        if alone and not known.is_name:
            source = next((self.holders[name] for name in sorted(known.reads) if name in self.holders), None)
            known = self._bind(value, known, source)
        self.left[value] -= 1
        return known

    def _pointwise(self, node: Node, op: Pointwise) -> Expression:
        values = iter(node.inputs)
        left = self._number(op.left) if op.left is not None else self._operand(next(values), alone=False)
        if op.operator == "neg":
            return Expression(fill(f"-{HOLE}", left.text), left.reads, left.modules)
        if op.operator in MATHS:
            return Expression(fill(f"torch.{op.operator}({HOLE})", left.text), left.reads, left.modules)
        right = self._number(op.right) if op.right is not None else self._operand(next(values), alone=False)
        operator = "**" if op.operator == "^" else op.operator
        if operator == "//" and op.left is not None:
            # TorchScript has no floor division of a number by a tensor.
            dtype = ", dtype=torch.float32" if _turns_float(node) else ""
            left = Expression(f"torch.full_like({right.text}, {left.text}{dtype})", right.reads)
        return Expression(
            infix(left.text, operator, right.text), left.reads | right.reads, left.modules + right.modules
        )

    def _number(self, n: Number) -> Expression:
        return Expression(self.code.number(n))

    # --- copies and residuals ---

    def _copies(self, node: Node) -> None:
        """`for block in self.blocks: x = block(x)`."""
        copies = next(m for m in self.unit.modules if m.name == node.module)
        assert isinstance(copies, Copies)
        x, *further = node.inputs
        extras = [self._operand(value, alone=True).text for value in further]
        start = self._operand(x, alone=True)
        self.known[node.output] = start
        if start.text in self._needed(node.output) or node.output.name is not None:
            name = self._free(node.output)
            self.lines.append(f"{name} = {start.text}")
            start = self._hold(node.output, name)
        name = start.text
        item = self.item_name(copies)
        self.lines += [f"for {item} in self.{copies.name}:", f"    {name} = {item}({', '.join([name, *extras])})"]
        self._hold(node.output, name)

    def _residual(self, node: Node, branch: Region, after: Region | None) -> None:
        x = self._operand(node.inputs[0], alone=True)
        chain = self._chain(branch, x)
        if chain is None:
            self.left[node.inputs[0]] += 1  # x is still to be added, so no line of the branch may take its variable
            self.known[branch.input] = x
            self._nodes(branch.nodes)
            chain = self._take(branch.output)
            self.left[node.inputs[0]] -= 1
        total = Expression(infix(x.text, "+", chain.text), x.reads | chain.reads, chain.modules)
        if after is not None:
            total = self._after(after, total)
        self.known[node.output] = total
        self._bind(node.output, total)

    def _after(self, after: Region, total: Expression) -> Expression:
        """The norm of a post-norm residual takes the sum in place, where it is one short call."""
        single = len(after.nodes) == 1 and isinstance(after.nodes[0].op, Apply) and len(after.nodes[0].inputs) == 1
        self.known[after.input] = total
        if single:
            node = after.nodes[0]
            assert isinstance(node.op, Apply)
            module = f"self.{node.module}" if node.module else ""
            template = node.op.layer.call(module, HOLE, input_type(node), self.code)
            text = fill(template, total.text)
            if template.count(HOLE) == 1 and len(text) <= _LONG:
                self.left[after.input] -= 1
                return Expression(text, total.reads, total.modules + 1)
        self._nodes(after.nodes)
        return self._take(after.output)

    def _chain(self, branch: Region, x: Expression) -> Expression | None:
        """The branch as one nested call, where it is a short chain of modules and nothing else."""
        text, value = x.text, branch.input
        for node in branch.nodes:
            runs = isinstance(node.op, Apply | Run) and node.module is not None
            if not runs or node.inputs != (value,) or len(node.outputs) != 1 or node.output.name is not None:
                return None
            template = f"self.{node.module}({HOLE})"
            if isinstance(node.op, Apply):
                assert isinstance(value.type, Tensor)
                template = node.op.layer.call(f"self.{node.module}", HOLE, value.type, self.code)
            if template.count(HOLE) != 1:
                return None
            text, value = fill(template, text), node.output
        modules = len(branch.nodes)
        if value is not branch.output or not 1 <= modules <= _CHAIN or len(text) > _LONG:
            return None
        return Expression(text, x.reads, modules)


def _turns_float(node: Node) -> bool:
    """Whether whole numbers go in and others come out."""
    types = [value.type for value in (node.inputs[0], node.output)]
    return [t.dtype for t in types if isinstance(t, Tensor)] == ["int", "float"]


def _uses(unit: Unit) -> Counter[Value]:
    """How often each value is read in the unit."""
    uses: Counter[Value] = Counter(unit.outputs)

    def count(nodes: Iterable[Node]) -> None:
        for node in nodes:
            uses.update(node.inputs)
            if isinstance(node.op, Residual):
                for region in (node.op.branch, node.op.after):
                    if region is not None:
                        uses[region.output] += 1
                        count(region.nodes)

    count(unit.nodes)
    return uses


def _all_values(unit: Unit) -> Iterable[Value]:
    yield from unit.inputs

    def walk(nodes: Iterable[Node]) -> Iterable[Value]:
        for node in nodes:
            yield from node.outputs
            if isinstance(node.op, Residual):
                yield from walk(node.op.branch.nodes)
                yield from walk(node.op.after.nodes if node.op.after else ())

    yield from walk(unit.nodes)


def named_values(unit: Unit) -> set[str]:
    """The names that values of a unit were given."""
    return {value.name for value in _all_values(unit) if value.name}


_SHADOWING = frozenset({"self", "config", "torch", "nn", "math", "dataclass"})
_AMBIGUOUS = frozenset({"l", "I", "O"})


def safe_name(name: str) -> str:
    """A port's or value's name as a variable: one that hides an import or reads like a digit gets an underscore."""
    return f"{name}_" if name in _SHADOWING | _AMBIGUOUS else name
