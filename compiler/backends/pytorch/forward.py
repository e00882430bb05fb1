"""The statements of a `forward`: one for each step that a reader would name, nested only where that reads well.

A statement runs one module and the functions around it; a residual whose branch is a chain of modules is one
statement (`x = x + self.attn(self.attn_norm(x))`). The value that runs down the page is `x`, a branch's is `h`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ...ir.graph import (
    Apply,
    Call,
    Checkpoint,
    Copies,
    LayerModule,
    Loop,
    Momentum,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCarrying,
    RunCopies,
    RunExperts,
    Unit,
    Value,
    input_type,
)
from ...layers.base import Code, Layer
from ...layers.side import hole
from ...scalars.expression import ScalarFunction
from ...semantics.arithmetic import MATHS
from ...semantics.number import Number, references
from ...semantics.tensor import Tensor
from .expression import HOLE, Expression, fill, infix
from .lending import Lent, handed_on, module_text
from .names import safe_name
from .reads import all_nodes, captured, named_values, uses

_FRESH = ("x", "h", "y", "z", "u", "v", "w")
_CHAIN = 3
"""So many modules at most stand nested in one residual."""
_LONG = 84
"""A nested expression longer than this is taken apart."""


class ForwardText(Code, Protocol):
    """What a `forward` asks of its file, besides what its layers do."""

    def function(self, function: ScalarFunction, tensors: Sequence[str]) -> str:
        """Put a function of the spec into the file, for these parameters as tensors; returns its name there."""
        ...


class Forward:
    """Writes the body of one unit's `forward`."""

    def __init__(
        self,
        unit: Unit,
        names: dict[Value, str],
        lent: dict[Lent, str],
        code: ForwardText,
        item_name: Callable[[Copies], str],
    ) -> None:
        self.unit, self.lent, self.code, self.item_name = unit, lent, code, item_name
        self.lines: list[str] = []
        self.locals: Counter[str] = Counter()
        self.given = set(map(safe_name, named_values(unit)))
        self.left = uses(unit)
        self.discards = any(self.left[v] == 0 for n in all_nodes(unit.nodes) if len(n.outputs) > 1 for v in n.outputs)
        """Whether `_` is a tensor somewhere: TorchScript has no variable of two types, and a loop's is a number."""
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
            case RunCarrying():
                self._carrying(node)
            case Residual() as op:
                self._residual(node, op)
            case Loop(count=count, body=body) if count.value == 1:
                self._inline(node, body)
            case Loop(count=count, body=body):
                self._loop(node, count, body)
            case Checkpoint(body=body):
                self._checkpoint(node, body)
            case _:
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
                return self._layer(node, layer, input_type(node))
            case Call() as op:
                return self._call(node, op)
            case _:
                module = self.unit.module(node.module or "")
                of = module.of if isinstance(module, Momentum) else module
                if isinstance(of, LayerModule):
                    return self._layer(node, of.layer, of.inputs[0])
                operands = self._operands(node.inputs, [True] * len(node.inputs))
                reads = frozenset[str]().union(*(o.reads for o in operands))
                handed = handed_on(of, self.lent)
                arguments = ", ".join([*(o.text for o in operands), *handed])
                return Expression(f"{self._module(node)}({arguments})", reads, 1)

    def _layer(self, node: Node, layer: Layer, x: Tensor) -> Expression:
        module = self._module(node)
        template = layer.call(module, HOLE, x, self.code)
        # What comes by keyword stands behind what comes by the arrow.
        first = 0 if layer.takes_running else 1
        alone = [
            bool(module) or (place > 0 and not layer.sides_nest) or template.count(hole(place)) > 1
            for place, _ in enumerate(node.inputs, first)
        ]
        operands = self._operands(node.inputs, alone)
        for place, operand in enumerate(operands, first):
            template = fill(template, operand.text, hole(place))
        reads = frozenset[str]().union(*(operand.reads for operand in operands))
        return Expression(template, reads, sum(o.modules for o in operands) + bool(module))

    def _module(self, node: Node) -> str:
        return module_text(self.unit, node.module, self.lent) if node.module else ""

    def _call(self, node: Node, op: Call) -> Expression:
        """A function of the file under its own name: what flows in order, numbers by name."""
        values = iter(node.inputs)
        operands: list[Expression] = []
        arguments: list[str] = []
        tensors: list[str] = []
        for parameter, n in zip(op.function.parameters, op.arguments, strict=True):
            if n is None:
                operands.append(self._operand(next(values), alone=False))
                tensors.append(parameter.name)
                text = operands[-1].text
                in_order = len(arguments) == len(operands) - 1
                arguments.append(text if in_order else f"{safe_name(parameter.name)}={text}")
            elif parameter.default is None or not same_text(parameter.default, n):
                arguments.append(f"{safe_name(parameter.name)}={self.code.real(n)}")
        name = self.code.function(op.function, tensors)
        reads = frozenset[str]().union(*(operand.reads for operand in operands))
        return Expression(f"{name}({', '.join(arguments)})", reads, sum(o.modules for o in operands))

    def _operand(self, value: Value, *, alone: bool) -> Expression:
        return self._operands([value], [alone])[0]

    def _operands(self, values: Sequence[Value], alone: Sequence[bool]) -> list[Expression]:
        """What a node reads. `alone`: a module takes a variable, so that each step stands on a line of its own.

        All are still needed while one of them gets its variable.
        """
        for value, by_itself in zip(values, alone, strict=True):
            known = self.known[value]
            if by_itself and not known.is_name:
                self._bind(value, known, self._source(value, known))
        found = [self.known[value] for value in values]
        self.left.subtract(values)
        return found

    def _source(self, value: Value, known: Expression) -> Value | None:
        """The variable that an expression is made of, for the comment on its shape: one of its rank if there is."""
        holders = [self.holders[name] for name in sorted(known.reads) if name in self.holders]
        ranks = {holder: holder.type.rank for holder in holders if isinstance(holder.type, Tensor)}
        same = (h for h, rank in ranks.items() if isinstance(value.type, Tensor) and rank == value.type.rank)
        return next(same, next(iter(holders), None))

    def _pointwise(self, node: Node, op: Pointwise) -> Expression:
        values = iter(node.inputs)
        left = self._number(op.left) if op.left is not None else self._operand(next(values), alone=False)
        if op.operator == "neg":
            return Expression(fill(f"-{HOLE}", left.text), left.reads, left.modules)
        if op.operator in MATHS and op.right is None and len(node.inputs) == 1 and op.left is None:
            return Expression(fill(f"{HOLE}.{op.operator}()", left.text), left.reads, left.modules)
        right = self._number(op.right) if op.right is not None else self._operand(next(values), alone=False)
        if op.operator in MATHS:
            return self._of_two(op, left, right)
        operator = "**" if op.operator == "^" else op.operator
        if operator == "//" and op.left is not None:
            # TorchScript has no floor division of a number by a tensor.
            dtype = ", dtype=torch.float32" if _turns_float(node) else ""
            left = Expression(f"torch.full_like({right.text}, {left.text}{dtype})", right.reads)
        reads, modules = left.reads | right.reads, left.modules + right.modules
        if operator == "//" and isinstance(node.output.type, Tensor) and node.output.type.dtype == "float":
            # PyTorch's operator has no derivative.
            return Expression(fill(f'{HOLE}.div({right.text}, rounding_mode="floor")', left.text), reads, modules)
        return Expression(infix(left.text, operator, right.text), reads, modules)

    def _of_two(self, op: Pointwise, left: Expression, right: Expression) -> Expression:
        """`max`, `min` and `round_up`: of two values, or of one and a number."""
        reads, modules = left.reads | right.reads, left.modules + right.modules
        number = op.left or op.right
        if op.operator == "round_up":
            steps = infix(left.text, "/", right.text)
            return Expression(infix(f"torch.ceil({steps})", "*", right.text), reads, modules)
        if number is None:
            name = "maximum" if op.operator == "max" else "minimum"
            return Expression(f"torch.{name}({left.text}, {right.text})", reads, modules)
        flowing, bound = (right, left) if op.left is not None else (left, right)
        limit = "min" if op.operator == "max" else "max"
        return Expression(fill(f"{HOLE}.clamp({limit}={bound.text})", flowing.text), reads, modules)

    def _number(self, n: Number) -> Expression:
        return Expression(self.code.number(n))

    # --- copies and residuals ---

    def _copies(self, node: Node) -> None:
        """`for block in self.blocks: x = block(x)`."""
        copies = self.unit.module(node.module or "")
        assert isinstance(copies, Copies)
        _, *further = self._operands(node.inputs, [True] * len(node.inputs))
        self.left[node.inputs[0]] += 1
        extras = [value.text for value in further]
        extras += handed_on(copies, self.lent)
        start = self._start(node)
        name = start.text
        item = self.item_name(copies)
        self.lines += [f"for {item} in {self._module(node)}:", f"    {name} = {item}({', '.join([name, *extras])})"]
        self._hold(node.output, name)

    def _carrying(self, node: Node) -> None:
        """`h = None`, then `for block in self.blocks: x, h = block(x, h)`."""
        copies = self.unit.module(node.module or "")
        assert isinstance(copies, Copies)
        _, *further = self._operands(node.inputs, [True] * len(node.inputs))
        self.left[node.inputs[0]] += 1
        extras = [*(value.text for value in further), *handed_on(copies, self.lent)]
        stream = self._start(node).text
        self._hold(node.output, stream)
        branch = self._free(node.outputs[1])
        item = self.item_name(copies)
        self.lines += [
            f"{branch}: Tensor | None = None",
            f"for {item} in {self._module(node)}:",
            f"    {stream}, {branch} = {item}({', '.join([stream, branch, *extras])})",
        ]
        self._hold(node.outputs[1], branch)

    def _residual(self, node: Node, op: Residual) -> None:
        entering = node.inputs[0]
        x = self._operand(entering, alone=True)
        self.left[entering] += 1  # x is still to be added, so no line of the branch may take its variable
        branch = self._inside(op.branch, x)
        side = x if op.skip is None else self._inside(op.skip, x)
        if op.gate is not None:
            gate = self._inside(op.gate, x)
            gate = gate if gate.is_name else self._bind(op.gate.output, gate)
            branch = _joined(gate, "*", branch)
            side = _joined(_joined(Expression("1"), "-", gate), "*", side)
            side, branch = branch, side
        elif op.scale is not None:
            side = _joined(self._number(op.scale), "*", side)
        self.left[entering] -= 1
        self.left.subtract(region.output for region in op.regions if region is not op.after)
        total = _joined(side, "+", branch)
        if op.after is not None:
            total = self._after(op.after, total)
        self.known[node.output] = total
        self._bind(node.output, total)

    def _inside(self, region: Region, x: Expression) -> Expression:
        """A flow inside an operation: one nested call where it is a short chain, else lines, and their result.

        The result is not taken yet, so that no line takes the variables that it reads.
        """
        chain = self._chain(region, x)
        if chain is not None:
            self.known[region.output] = chain
        else:
            self.known[region.input] = x
            self._nodes(region.nodes)
        return self.known[region.output]

    def _loop(self, node: Node, count: Number, body: Region) -> None:
        """`for _ in range(3): x = ...`: what runs several times may not take the variables of what is around it."""
        start = self._start(node)
        around = [value for value in self.known if value is not node.output]
        self.left.update(around)
        outside, self.lines = self.lines, []
        self.known[body.input] = start
        self.left[body.input] += 1
        self._nodes(body.nodes)
        result = self._take(body.output)
        if result.text != start.text:
            self.lines.append(f"{start.text} = {result.text}")
        self.left.subtract(around)
        self.left[body.input] -= 1
        if not self.lines:  # what the body did only in training is not exported
            self.lines = outside
            self._hold(node.output, start.text)
            return
        number = self._number(count)
        turn = "turn" if self.discards else "_"
        self.lines = [*outside, f"for {turn} in range({number.text}):", *(f"    {line}" for line in self.lines)]
        self._hold(node.output, start.text)

    def _inline(self, node: Node, body: Region) -> None:
        """A flow inside an operation as if it stood there alone."""
        self.known[body.input] = self._operand(node.inputs[0], alone=True)
        self._nodes(body.nodes)
        self.known[node.output] = self._take(body.output)
        self._settle(node, self.known[node.output])

    def _start(self, node: Node) -> Expression:
        """A variable that holds what comes in, and that lines may write anew."""
        start = self._operand(node.inputs[0], alone=True)
        self.known[node.output] = start
        if start.text in self._needed(node.output) or node.output.name is not None:
            name = self._free(node.output)
            self.lines.append(f"{name} = {start.text}")
            start = self._hold(node.output, name)
        return start

    def _checkpoint(self, node: Node, body: Region) -> None:
        """A function of its own for what is computed twice, which gets all that it reads as arguments: a variable of
        `forward` may have another value by then."""
        single = body.nodes[0] if len(body.nodes) == 1 else None
        # What is computed twice inside what is computed twice would stand a level deeper for nothing.
        if self.code.exporting or (single is not None and isinstance(single.op, Checkpoint)):
            self._inline(node, body)
            return
        x = self._operand(node.inputs[0], alone=True)
        outer = [x.text, *sorted({n for v in captured(body) for n in self.known[v].reads} - {x.text})]
        runs = single is not None and isinstance(single.op, Apply | Run) and single.module is not None
        if single is not None and runs and single.inputs == (body.input,) and single.output is body.output:
            self.left[body.output] -= 1
            self.left[body.input] -= 1
            module = self.unit.module(single.module or "")
            handed = handed_on(module, self.lent)
            arguments = ", ".join([self._module(single), x.text, *handed])
            self._settle(node, Expression(f"checkpoint({arguments}, use_reentrant=False)", x.reads, 1))
            return
        name = self._local("recomputed")
        outside, self.lines = self.lines, []
        self.known[body.input] = x
        self._nodes(body.nodes)
        self.lines.append(f"return {self._take(body.output).text}")
        parameters = ", ".join(f"{one}: Tensor" for one in outer)
        head = f"def {name}({parameters}) -> Tensor:"
        blank = [""] if outside else []
        self.lines = [*outside, *blank, head, *(f"    {line}" for line in self.lines), ""]
        call = f"checkpoint({', '.join([name, *outer])}, use_reentrant=False)"
        self._settle(node, Expression(call, frozenset(outer), 1))

    def _local(self, stem: str) -> str:
        """A name for a function inside `forward`, numbered where there are several."""
        self.locals[stem] += 1
        return stem if self.locals[stem] == 1 else f"{stem}_{self.locals[stem]}"

    def _after(self, after: Region, total: Expression) -> Expression:
        """The norm of a post-norm residual takes the sum in place, where it is one short call."""
        single = len(after.nodes) == 1 and isinstance(after.nodes[0].op, Apply) and len(after.nodes[0].inputs) == 1
        self.known[after.input] = total
        if single:
            node = after.nodes[0]
            assert isinstance(node.op, Apply)
            template = node.op.layer.call(self._module(node), HOLE, input_type(node), self.code)
            text = fill(template, total.text)
            if template.count(HOLE) == 1 and len(text) <= _LONG:
                self.left[after.input] -= 1
                return Expression(text, total.reads, total.modules + 1)
        self._nodes(after.nodes)
        return self._take(after.output)

    def _chain(self, branch: Region, x: Expression) -> Expression | None:
        """The branch as one nested call, where it is a short chain of modules and nothing else."""
        text, value, reads = x.text, branch.input, x.reads
        beside: list[Value] = []
        for node in branch.nodes:
            runs = isinstance(node.op, Apply | Run | RunExperts) and node.module is not None
            others = node.inputs[1:]
            at_hand = all(other in self.known and self.known[other].is_name for other in others)
            in_line = node.inputs[:1] == (value,) and at_hand
            if not runs or not in_line or len(node.outputs) != 1 or node.output.name is not None:
                return None
            module = self.unit.module(node.module or "")
            handed = handed_on(module, self.lent)
            holes = [hole(place) for place in range(len(node.inputs))]
            template = f"{self._module(node)}({', '.join([*holes, *handed])})"
            if isinstance(node.op, Apply):
                template = node.op.layer.call(self._module(node), HOLE, input_type(node), self.code)
            if template.count(HOLE) != 1:
                return None
            for place, other in enumerate(others, 1):
                template = fill(template, self.known[other].text, hole(place))
                reads |= self.known[other].reads
            beside += others
            text, value = fill(template, text), node.output
        modules = len(branch.nodes)
        if value is not branch.output or not 1 <= modules <= _CHAIN or len(text) > _LONG:
            return None
        self.left.subtract(beside)
        return Expression(text, reads, modules)


def _turns_float(node: Node) -> bool:
    """Whether whole numbers go in and others come out."""
    types = [value.type for value in (node.inputs[0], node.output)]
    return [t.dtype for t in types if isinstance(t, Tensor)] == ["int", "float"]


def _joined(left: Expression, operator: str, right: Expression) -> Expression:
    return Expression(infix(left.text, operator, right.text), left.reads | right.reads, left.modules + right.modules)


def same_text(a: Number, b: Number) -> bool:
    """Whether two numbers are known and one."""
    return a.value is not None and a.value == b.value and not any(True for _ in references(b))
