"""How large an expression is when its calls and activations are written out, without writing them out.

Functions that call each other twice double at each step: thirty such lines would make a kernel of a billion
operations. The size of `f(x)` is linear in the size of x, so it is worked out once for each function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from .activations import ACTIVATIONS, definition
from .expression import Call, Compute, Expression, ScalarFunction, Variable

LARGEST = 10_000
"""Operations of a function. A score of attention has ten."""
DEEPEST = 500


@dataclass(frozen=True)
class Size:
    """`operations` without those of the variables; `uses` is how often each of them is read."""

    operations: int
    uses: Counter[str]
    depth: int

    def of(self, arguments: dict[str, Size]) -> Size:
        """The size with arguments in place of variables."""
        operations, uses = self.operations, Counter[str]()
        for name, count in self.uses.items():
            operations += count * arguments[name].operations
            for inner, times in arguments[name].uses.items():
                uses[inner] += count * times
        return Size(operations, uses, self.depth + max((a.depth for a in arguments.values()), default=0))


def size(expression: Expression, known: dict[ScalarFunction, Size]) -> Size:
    """The size of an expression. `known` holds those of the functions it calls, and gets those it lacks."""
    match expression:
        case Variable(name):
            return Size(0, Counter([name]), 0)
        case Call(function, arguments):
            if function not in known:
                known[function] = size(function.value, known)
            names = [p.name for p in function.parameters]
            return known[function].of(_by_name(names, arguments, known))
        case Compute(operator, operands) if operator in ACTIVATIONS:
            names = [str(i) for i in range(len(operands))]
            return _size_of_activation(operator, len(operands)).of(_by_name(names, operands, known))
        case Compute(operands=operands):
            parts = [size(operand, known) for operand in operands]
            uses = sum((part.uses for part in parts), Counter[str]())
            return Size(1 + sum(part.operations for part in parts), uses, 1 + max(part.depth for part in parts))
    return Size(0, Counter(), 0)


def _by_name(
    names: Sequence[str], arguments: Sequence[Expression], known: dict[ScalarFunction, Size]
) -> dict[str, Size]:
    return {name: size(argument, known) for name, argument in zip(names, arguments, strict=True)}


@cache
def _size_of_activation(operator: str, count: int) -> Size:
    return size(definition(Compute(operator, tuple(Variable(str(i)) for i in range(count)))), {})
