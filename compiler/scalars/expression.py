"""Scalar expressions: what a function of a file computes from the numbers it is given, entry by entry.

A tree of four kinds of nodes. `Compute.operator` is one of

    + - * / // % ^ neg              on numbers, with PyTorch's results (`//` rounds down, `%` has the divisor's sign)
    == != < <= > >=  and or         truth values
    if                              operands: condition, then, otherwise; chosen entry by entry
    max min                         of two
    sqrt exp log abs sin cos floor ceil erf
    an activation                   see activations.py

A constant remembers how it was written (`4 * dim`), and a call stays a call until `inlined` writes it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..semantics.arithmetic import COMPARISONS
from ..semantics.number import Number, number, references


@dataclass(frozen=True)
class Constant:
    """A number that is known when the model is built."""

    number: Number


@dataclass(frozen=True)
class Variable:
    """A parameter of the function."""

    name: str


@dataclass(frozen=True)
class Compute:
    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Call:
    """Another function of the file, with an argument for each of its parameters."""

    function: ScalarFunction
    arguments: tuple[Expression, ...]


Expression: TypeAlias = Constant | Variable | Compute | Call


@dataclass(frozen=True)
class Parameter:
    name: str
    default: Number | None = None


@dataclass(frozen=True, eq=False)
class ScalarFunction:
    """A function of a file: `cap(x, limit = 30) = ...`. Its value is a number, never a truth value.

    Functions are compared by identity.
    """

    name: str
    parameters: tuple[Parameter, ...]
    value: Expression


TRUTHS = COMPARISONS | {"and", "or"}
"""Operators whose results are true or false."""

ZERO, ONE, HALF = Constant(number(0)), Constant(number(1)), Constant(number(0.5))


def constant(value: float) -> Constant:
    """A number that nobody wrote."""
    return Constant(number(value))


def has_value(expression: Expression, value: int) -> bool:
    """Whether it is that number, and names no constant of the file."""
    return (
        isinstance(expression, Constant)
        and expression.number.value == value
        and not any(True for _ in references(expression.number))
    )


def compute(operator: str, *operands: Expression) -> Compute:
    return Compute(operator, operands)


def is_truth(expression: Expression) -> bool:
    """Whether the expression is true or false rather than a number."""
    match expression:
        case Compute("if", (_, then, _)):
            return is_truth(then)
        case Compute(operator, _):
            return operator in TRUTHS
    return False


def operands(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Compute(operands=parts) | Call(arguments=parts):
            return parts
    return ()


def nodes(expression: Expression) -> Iterator[Expression]:
    """The expression and all below it, those of called functions left out."""
    todo = [expression]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(operands(node)))


def variables(expression: Expression) -> frozenset[str]:
    """The names of the parameters that the expression reads."""
    return frozenset(node.name for node in nodes(expression) if isinstance(node, Variable))


def rebuilt(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The expression with each of its operands changed."""
    match expression:
        case Compute(operator, parts):
            return Compute(operator, _changed(parts, change))
        case Call(function, parts):
            return Call(function, _changed(parts, change))
    return expression


def _changed(parts: Iterable[Expression], change: Callable[[Expression], Expression]) -> tuple[Expression, ...]:
    return tuple(change(part) for part in parts)


def substitute(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """The expression with other expressions in place of variables."""
    if isinstance(expression, Variable):
        return values.get(expression.name, expression)
    return rebuilt(expression, lambda part: substitute(part, values))


def inlined(expression: Expression) -> Expression:
    """The expression with the text of each called function in place of the call."""
    whole = rebuilt(expression, inlined)
    return applied(whole.function, whole.arguments) if isinstance(whole, Call) else whole


def applied(
    function: ScalarFunction, arguments: Iterable[Expression] = (), named: Mapping[str, Expression] | None = None
) -> Expression:
    """The function's value for these arguments, calls written out.

    A parameter that is given nothing has its default, or stays a variable where it has none.
    """
    defaults = {p.name: Constant(p.default) for p in function.parameters if p.default is not None}
    placed = zip((p.name for p in function.parameters), arguments, strict=False)
    return substitute(inlined(function.value), {**defaults, **dict(placed), **(named or {})})
