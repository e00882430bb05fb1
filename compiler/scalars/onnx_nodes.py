"""An expression as nodes of an ONNX graph, with PyTorch's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from ..semantics.arithmetic import COMPARISONS
from ..semantics.number import real
from ..semantics.tensor import Tensor, broadcast
from .activations import definition
from .expression import Compute, Constant, Expression, Variable, compute, inlined, variables
from .simplify import simplify

if TYPE_CHECKING:
    from ..backends.onnx.builder import OnnxBuilder, OnnxValue

_KINDS = {
    "sqrt": "Sqrt",
    "exp": "Exp",
    "log": "Log",
    "abs": "Abs",
    "sin": "Sin",
    "cos": "Cos",
    "floor": "Floor",
    "ceil": "Ceil",
    "erf": "Erf",
    "max": "Max",
    "min": "Min",
    "and": "And",
    "or": "Or",
    "relu": "Relu",
    "elu": "Elu",
    "selu": "Selu",
    "gelu": "Gelu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
}
"""Those that ONNX has and ONNX Runtime runs; the others are written out."""
OPERATOR_NAMES = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "divide_whole",
    "%": "remainder",
    "^": "power",
    "neg": "negate",
    "==": "equal",
    "!=": "differ",
    "<": "less",
    "<=": "at_most",
    ">": "greater",
    ">=": "at_least",
}
"""How the node of an operator is called."""


def onnx_nodes(
    g: OnnxBuilder, expression: Expression, inputs: Mapping[str, tuple[OnnxValue, Tensor]], name: str
) -> tuple[OnnxValue, Tensor]:
    """Append the nodes of an expression and return its value with its type; what occurs twice is computed once.

    `inputs` are the parameters that it reads, values of floats whose shapes go together. The last node is called
    `name`, those before it `name.add`, `name.exp`, ...
    """
    return _Writer(g, inputs, name).write(simplify(inlined(expression)))


class _Writer:
    """`_known` are the values that are there already."""

    def __init__(self, g: OnnxBuilder, inputs: Mapping[str, tuple[OnnxValue, Tensor]], name: str) -> None:
        self._g, self._inputs, self._name = g, inputs, name
        self._known: dict[Expression, tuple[OnnxValue, Tensor]] = {}

    def write(self, e: Expression) -> tuple[OnnxValue, Tensor]:
        if not variables(e):  # a number, in the shape of what comes in
            x = Variable(next(iter(self._inputs)))
            e = compute("if", compute("==", x, x), e, e)
        return self._node(e, self._name)

    def _node(self, e: Expression, name: str | None = None) -> tuple[OnnxValue, Tensor]:
        if e not in self._known:
            self._known[e] = self._written(e, name)
        return self._known[e]

    def _written(self, e: Expression, name: str | None) -> tuple[OnnxValue, Tensor]:
        match e:
            case Constant(number=n):
                return self._g.number(real(n)), Tensor("float", ())
            case Variable(name=variable):
                return self._inputs[variable]
            case Compute(operator, (x, Constant(number=slope))) if operator == "leaky_relu":
                return self._op("LeakyRelu", (x,), name or self._below(operator), alpha=real(slope))
            case Compute("gelu_tanh", operands):
                return self._op("Gelu", operands, name or self._below("gelu"), approximate="tanh")
            case Compute("hardsigmoid", operands):
                return self._op("HardSigmoid", operands, name or self._below("hardsigmoid"), alpha=1 / 6, beta=0.5)
            case Compute("if", operands):
                return self._op("Where", operands, name or self._below("where"))
            case Compute(operator) if operator in OPERATOR_NAMES:
                return self._operator(e, name or self._below(OPERATOR_NAMES[operator]))
            case Compute(operator, operands) if operator in _KINDS:
                return self._op(_KINDS[operator], operands, name or self._below(operator))
            case Compute():
                return self._node(definition(e), name)
        raise AssertionError(e)

    def _below(self, word: str) -> str:
        return f"{self._name}.{word}"

    def _op(
        self, kind: str, operands: Sequence[Expression], name: str, **attributes: float | str
    ) -> tuple[OnnxValue, Tensor]:
        values, types = zip(*(self._node(operand) for operand in operands), strict=True)
        truth = kind in ("And", "Or") or (kind == "Where" and types[1].dtype == "bool")
        type = Tensor("bool" if truth else "float", reduce(broadcast, types).dims)
        return self._g.op(kind, values, type, name, **attributes), type

    def _operator(self, e: Compute, name: str) -> tuple[OnnxValue, Tensor]:
        """An operator as the ones that stand in bodies are written."""
        from ..backends.onnx.pointwise import pointwise  # loads onnx
        from ..ir.graph import Pointwise

        numbers = [operand.number if isinstance(operand, Constant) else None for operand in e.operands]
        flowing = [self._node(operand) for operand in e.operands if not isinstance(operand, Constant)]
        values, types = [value for value, _ in flowing], [type for _, type in flowing]
        dtype = "bool" if e.operator in COMPARISONS else "float"
        type = Tensor(dtype, reduce(broadcast, types, Tensor("float", ())).dims)
        operator = Pointwise(e.operator, numbers[0], numbers[1] if len(numbers) == 2 else None)
        return pointwise(self._g, operator, values, types, type, name), type
