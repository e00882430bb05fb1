"""What a step does to each entry of its one input, as an expression over `x`, for kernels that do it on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...ir.graph import Apply, Call, Node, Op, Pointwise, Value
from ...scalars.activations import OPTIONS, activation
from ...scalars.expression import Constant, Expression, Variable, applied, compute, rebuilt, substitute
from ...scalars.simplify import simplify
from ...semantics.number import number

X = Variable("x")


def named_function(op: Op) -> tuple[str, Expression] | None:
    """The name of an activation or of a function of the file, and its value; None of what is neither."""
    match op:
        case Apply(layer=layer) if layer.word in OPTIONS:
            by_tanh = layer.word == "gelu" and getattr(layer, "approximate", None) == "tanh"
            word = "gelu_tanh" if by_tanh else layer.word
            options = [Constant(getattr(layer, option)) for option in OPTIONS[layer.word]]
            return word, activation(word, X, *options)
        case Call(function=function, arguments=arguments):
            return function.name, applied(function, [X if n is None else Constant(n) for n in arguments])
    return None


def settled(expression: Expression) -> Expression:
    """Simplified, with the values of its numbers, however they are written: kernels compute with these."""
    return simplify(_with_values(expression))


@dataclass(frozen=True)
class EntryFunction:
    """A function of each entry of `of`, by one or several steps; of no step it is the value itself."""

    expression: Expression
    of: Value
    steps: tuple[Node, ...]


def function_before(value: Value, nodes: Sequence[Node], read: Counter[Value]) -> EntryFunction:
    """The function that gives `value`, as far back as steps are one of entries and nothing reads in between. `read`:
    how often each value is read."""
    makers = {output: node for node in nodes for output in node.outputs}
    found: Expression = X
    steps: list[Node] = []
    while (node := makers.get(value)) is not None and len(node.inputs) == 1 and read[node.inputs[0]] == 1:
        step = None if node.module is not None else _step(node.op)
        if step is None:
            break
        found, value = substitute(found, {"x": step}), node.inputs[0]
        steps.append(node)
    return EntryFunction(found, value, tuple(steps))


def _step(op: Op) -> Expression | None:
    named = named_function(op)
    if named is not None:
        return named[1]
    match op:
        case Pointwise(operator=operator, left=None, right=None):
            return compute(operator, X)
        case Pointwise(operator=operator, left=left, right=None) if left is not None:
            return compute(operator, Constant(left), X)
        case Pointwise(operator=operator, left=None, right=right) if right is not None:
            return compute(operator, X, Constant(right))
    return None


def _with_values(expression: Expression) -> Expression:
    if isinstance(expression, Constant):
        value = expression.number.value
        assert value is not None
        return Constant(number(value))
    return rebuilt(expression, _with_values)
