"""Sides of a choice that are not taken, kept harmless for autograd.

`torch.where` computes both sides, and multiplies the gradient of the one that is not taken by 0: where that is infinite
the product is NaN, as for `x if x > 0 else exp(x) - 1` at 100. So what may become infinite there is computed of
something else, as one writes it by hand:

    torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - 1)
    torch.where(x == 0, 1, torch.sin(x) / torch.where(x == 0, 1, x))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from .bounds import ANY, Bounds, bounds
from .expression import (
    ONE,
    ZERO,
    Call,
    Compute,
    Constant,
    Expression,
    Variable,
    applied,
    compute,
    nodes,
    rebuilt,
    substitute,
    variables,
)

_LARGE = 10.0
"""exp of it is still a number in float16."""
_STEEP = frozenset({"exp", "log", "sqrt", "/", "//", "%", "^"})
_OPPOSITE: Mapping[str, str] = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "!=": "==", "==": "!="}
_FLIPPED: Mapping[str, str] = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "!=": "!=", "==": "=="}


def guarded(e: Expression, is_tensor: Callable[[Expression], bool]) -> Expression:
    """The same values, and gradients that are numbers wherever those of the sides that are taken are."""
    e = rebuilt(e, lambda part: guarded(part, is_tensor))
    if not isinstance(e, Compute) or e.operator != "if" or not is_tensor(e.operands[0]):
        return e
    condition, then, otherwise = e.operands
    sides = (_Guard(condition, True, is_tensor).side(then), _Guard(condition, False, is_tensor).side(otherwise))
    return compute("if", condition, *sides)


class _Guard:
    """For the side of a choice that is taken where `condition` is `truth`."""

    def __init__(self, condition: Expression, truth: bool, is_tensor: Callable[[Expression], bool]) -> None:
        self._condition, self._truth, self._is_tensor = condition, truth, is_tensor
        self._name, self._sign, self._edge = _compared(condition, is_tensor)
        if not truth:
            self._sign = _OPPOSITE.get(self._sign, "")
        self._elsewhere = {self._name: _outside(self._sign, self._edge)}
        """Between which numbers what is compared lies where the side is not taken."""

    def side(self, e: Expression) -> Expression:
        if not self._is_tensor(e):
            return e
        match e:
            case Call():
                whole = applied(e.function, e.arguments)
                harmless = self.side(whole)
                return e if harmless == whole else harmless
            case Compute("if", (condition, then, otherwise)):
                return compute("if", condition, self.side(then), self.side(otherwise))
            case Compute(operator, parts):
                return self._harmless(operator, *map(self.side, parts))
        return e

    def _harmless(self, operator: str, *parts: Expression) -> Expression:
        match operator, parts:
            case "exp", (x,):
                return compute("exp", self._exponent(x))
            case "log" | "sqrt", (x,):
                return compute(operator, self._positive(x))
            case "/" | "//" | "%", (a, b):
                return compute(operator, a, self._divisor(b))
            case "^", (a, b):
                return compute("^", a if _is_count(b) else self._positive(a), self._exponent(b))
        return compute(operator, *parts)

    def _positive(self, x: Expression) -> Expression:
        return x if bounds(x, self._elsewhere)[0] > 0 else self._instead(x, ONE)

    def _divisor(self, x: Expression) -> Expression:
        low, high = bounds(x, self._elsewhere)
        return x if low > 0 or high < 0 else self._instead(x, ONE)

    def _exponent(self, x: Expression) -> Expression:
        if bounds(x, self._elsewhere)[1] <= _LARGE:
            return x
        if variables(x) == {self._name} and self._sign in ("<", "<=", ">", ">=") and not _is_steep(x):
            clamp = "min" if self._sign in ("<", "<=") else "max"
            return substitute(x, {self._name: compute(clamp, Variable(self._name), self._edge)})
        return self._instead(x, ZERO)

    def _instead(self, x: Expression, other: Expression) -> Expression:
        """x where the side is taken, else another number."""
        if not self._is_tensor(x):
            return x
        return compute("if", self._condition, *((x, other) if self._truth else (other, x)))


def _compared(condition: Expression, is_tensor: Callable[[Expression], bool]) -> tuple[str, str, Expression]:
    """A parameter that is a tensor, how it is compared, and with what, which is none; texts are empty where something
    else is asked."""
    match condition:
        case Compute(sign, (Variable(name) as x, edge)) if sign in _FLIPPED and is_tensor(x) and not is_tensor(edge):
            return name, sign, edge
        case Compute(sign, (edge, Variable(name) as x)) if sign in _FLIPPED and is_tensor(x) and not is_tensor(edge):
            return name, _FLIPPED[sign], edge
    return "", "", ZERO


def _outside(sign: str, edge: Expression) -> Bounds:
    """Where `x > edge` is not so."""
    low, high = bounds(edge, {})
    match sign:
        case ">" | ">=":
            return -math.inf, high
        case "<" | "<=":
            return low, math.inf
        case "!=":
            return low, high
    return ANY


def _is_steep(e: Expression) -> bool:
    return any(isinstance(one, Call) or (isinstance(one, Compute) and one.operator in _STEEP) for one in nodes(e))


def _is_count(e: Expression) -> bool:
    """Whether it is a whole number above 0: such powers are numbers everywhere."""
    value = e.number.value if isinstance(e, Constant) else None
    return value is not None and value > 0 and value % 1 == 0
