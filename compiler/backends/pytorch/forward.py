"""The statements of a `forward`: one for each step that a reader would name, nested only where that reads well.

A statement runs one module and the functions around it; a residual whose branch is a chain of modules is one
statement (`x = x + self.attn(self.attn_norm(x))`). The value that runs down the page is `x`, a branch's is `h`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...ir.graph import (
    Apply,
    Call,
    Checkpoint,
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
    Unit,
    Value,
    input_type,
)
from ...ir.reads import captured
from ...layers.base import Layer
from ...layers.side import hole
from ...semantics.arithmetic import MATHS
from ...semantics.number import Number, references
from ...semantics.tensor import Tensor
from .expression import HOLE, LONG, Expression, fill, infix, joined
from .lending import Lent, handed_on
from .loops import write_carrying, write_copies, write_loop
from .names import safe_name
from .residuals import write_residual
from .statements import ForwardText, Statements


def write_forward(unit: Unit, names: dict[Value, str], lent: dict[Lent, str], code: ForwardText) -> list[str]:
    """The body of a unit's `forward`. `names` are its arguments, `lent` the modules that it is handed."""
    forward = _Forward(unit, names, lent, code)
    forward.write(unit.nodes)
    result = ", ".join([forward.take(value).text for value in unit.outputs])
    lines, assigned = forward.lines, f"{result} = "
    # `x = f(x); return x` says the same as `return f(x)`.
    if len(unit.outputs) == 1 and lines and lines[-1].startswith(assigned):
        return [*lines[:-1], f"return {lines[-1].split('  # ')[0].removeprefix(assigned)}"]
    return [*lines, f"return {result}"]


class _Forward(Statements):
    """Each node as what it is; loops and residuals have files of their own."""

    def __init__(self, unit: Unit, names: dict[Value, str], lent: dict[Lent, str], code: ForwardText) -> None:
        super().__init__(unit, names, lent, code)
        self.locals: Counter[str] = Counter()

    def write(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self._node(node)

    def _node(self, node: Node) -> None:
        match node.op:
            case RunCopies():
                write_copies(node, self)
            case RunCarrying():
                write_carrying(node, self)
            case Residual() as op:
                write_residual(node, op, self)
            case Loop(count=count, body=body) if count.value == 1:
                self._inline(node, body)
            case Loop(count=count, body=body):
                write_loop(node, count, body, self)
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
                names.append(self.free(value) if used else "_")
                if used:
                    self.hold(value, names[-1])
            self.lines.append(f"{', '.join(names)} = {expression.text}")
            return
        value = node.output
        self.known[value] = expression
        if value.name is not None or self.left[value] != 1 or len(expression.text) > LONG:
            self.bind(value, expression, node.inputs[0] if node.inputs else None)

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
                operands = self.operands(node.inputs, [True] * len(node.inputs))
                reads = frozenset[str]().union(*(o.reads for o in operands))
                handed = handed_on(of, self.lent)
                arguments = ", ".join([*(o.text for o in operands), *handed])
                return Expression(f"{self.module_text(node)}({arguments})", reads, 1)

    def _layer(self, node: Node, layer: Layer, x: Tensor) -> Expression:
        module = self.module_text(node)
        template = layer.call(module, HOLE, x, self.code)
        # What comes by keyword stands behind what comes by the arrow.
        first = 0 if layer.takes_running else 1
        alone = [
            bool(module) or (place > 0 and not layer.sides_nest) or template.count(hole(place)) > 1
            for place, _ in enumerate(node.inputs, first)
        ]
        operands = self.operands(node.inputs, alone)
        for place, operand in enumerate(operands, first):
            template = fill(template, operand.text, hole(place))
        reads = frozenset[str]().union(*(operand.reads for operand in operands))
        return Expression(template, reads, sum(o.modules for o in operands) + bool(module))

    def _call(self, node: Node, op: Call) -> Expression:
        """A function of the file under its own name: what flows in order, numbers by name."""
        values = iter(node.inputs)
        operands: list[Expression] = []
        arguments: list[str] = []
        tensors: list[str] = []
        for parameter, n in zip(op.function.parameters, op.arguments, strict=True):
            if n is None:
                operands.append(self.operand(next(values), alone=False))
                tensors.append(parameter.name)
                text = operands[-1].text
                in_order = len(arguments) == len(operands) - 1
                arguments.append(text if in_order else f"{safe_name(parameter.name)}={text}")
            elif parameter.default is None or not _same_text(parameter.default, n):
                arguments.append(f"{safe_name(parameter.name)}={self.code.real(n)}")
        name = self.code.function(op.function, tensors)
        reads = frozenset[str]().union(*(operand.reads for operand in operands))
        return Expression(f"{name}({', '.join(arguments)})", reads, sum(o.modules for o in operands))

    def _pointwise(self, node: Node, op: Pointwise) -> Expression:
        values = iter(node.inputs)
        left = self.number(op.left) if op.left is not None else self.operand(next(values), alone=False)
        if op.operator == "neg":
            return Expression(fill(f"-{HOLE}", left.text), left.reads, left.modules)
        if op.operator in MATHS and op.right is None and len(node.inputs) == 1 and op.left is None:
            return Expression(fill(f"{HOLE}.{op.operator}()", left.text), left.reads, left.modules)
        right = self.number(op.right) if op.right is not None else self.operand(next(values), alone=False)
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
        return joined(left, operator, right)

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

    def _inline(self, node: Node, body: Region) -> None:
        """A flow inside an operation as if it stood there alone."""
        self.known[body.input] = self.operand(node.inputs[0], alone=True)
        self.write(body.nodes)
        self.known[node.output] = self.take(body.output)
        self._settle(node, self.known[node.output])

    def _checkpoint(self, node: Node, body: Region) -> None:
        """A function of its own for what is computed twice, which gets all that it reads as arguments: a variable of
        `forward` may have another value by then."""
        single = body.nodes[0] if len(body.nodes) == 1 else None
        # What is computed twice inside what is computed twice would stand a level deeper for nothing.
        if self.code.exporting or (single is not None and isinstance(single.op, Checkpoint)):
            self._inline(node, body)
            return
        x = self.operand(node.inputs[0], alone=True)
        outer = [x.text, *sorted({n for v in captured(body) for n in self.known[v].reads} - {x.text})]
        if single is not None and self._runs_module_alone(single, body):
            self.left[body.output] -= 1
            self.left[body.input] -= 1
            module = self.unit.module(single.module or "")
            handed = handed_on(module, self.lent)
            arguments = ", ".join([self.module_text(single), x.text, *handed])
            self._settle(node, Expression(f"checkpoint({arguments}, use_reentrant=False)", x.reads, 1))
            return
        name = self._local("recomputed")
        outside, self.lines = self.lines, []
        self.known[body.input] = x
        self.write(body.nodes)
        self.lines.append(f"return {self.take(body.output).text}")
        parameters = ", ".join(f"{one}: Tensor" for one in outer)
        head = f"def {name}({parameters}) -> Tensor:"
        blank = [""] if outside else []
        self.lines = [*outside, *blank, head, *(f"    {line}" for line in self.lines), ""]
        call = f"checkpoint({', '.join([name, *outer])}, use_reentrant=False)"
        self._settle(node, Expression(call, frozenset(outer), 1))

    def _runs_module_alone(self, node: Node, body: Region) -> bool:
        """Whether a flow is a module, called with what flows in, and what comes of it all that flows out."""
        if node.module is None or node.inputs != (body.input,) or node.outputs != (body.output,):
            return False
        x, module = body.input.type, self.module_text(node)
        match node.op:
            case Apply(layer=layer) if isinstance(x, Tensor):
                return layer.call(module, HOLE, x, self.code) == f"{module}({HOLE})"
            case Run():
                return True
        return False

    def _local(self, stem: str) -> str:
        """A name for a function inside `forward`, numbered where there are several."""
        self.locals[stem] += 1
        return stem if self.locals[stem] == 1 else f"{stem}_{self.locals[stem]}"


def _turns_float(node: Node) -> bool:
    """Whether whole numbers go in and others come out."""
    types = [value.type for value in (node.inputs[0], node.output)]
    return [t.dtype for t in types if isinstance(t, Tensor)] == ["int", "float"]


def _same_text(a: Number, b: Number) -> bool:
    """Whether two numbers are known and one."""
    return a.value is not None and a.value == b.value and not any(True for _ in references(b))
