"""Between which numbers an expression stays, as far as its operators tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from .activations import ACTIVATIONS, definition
from .expression import Call, Compute, Constant, Expression, Variable, applied

Bounds: TypeAlias = tuple[float, float]

ANY: Bounds = (-math.inf, math.inf)
_POSITIVE: Bounds = (0.0, math.inf)
_MOST = 700.0
"""What exp still has a float for."""
_OF_ONE: Mapping[str, Bounds] = {
    "abs": _POSITIVE,
    "sqrt": _POSITIVE,
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
    "erf": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "relu": _POSITIVE,
    "softplus": _POSITIVE,
    "hardsigmoid": (0.0, 1.0),
}


def bounds(e: Expression, known: Mapping[str, Bounds]) -> Bounds:
    """The least and the greatest value, edges included and infinite where nothing is known; `known` are those of
    parameters. Rounding is left out of account."""
    match e:
        case Constant(number=n):
            return ANY if n.value is None else (float(n.value), float(n.value))
        case Variable(name):
            return known.get(name, ANY)
        case Call():
            return bounds(applied(e.function, e.arguments), known)
        case Compute("if", (_, then, otherwise)):
            return _hull(bounds(then, known), bounds(otherwise, known))
        case Compute("*", (a, b)) if a == b:
            return _even_power(bounds(a, known), 2)
        case Compute("^", (a, Constant(number=n))) if n.value is not None and n.value > 0 and n.value % 2 == 0:
            return _even_power(bounds(a, known), float(n.value))
        case Compute(operator, (x,)):
            return _of_one(e, operator, x, known)
        case Compute(operator, (a, b)):
            return _of_two(operator, bounds(a, known), bounds(b, known))
    return ANY


def _of_one(e: Compute, operator: str, x: Expression, known: Mapping[str, Bounds]) -> Bounds:
    low, high = bounds(x, known)
    if operator == "neg":
        return -high, -low
    if operator == "exp":
        return math.exp(min(low, _MOST)), math.exp(high) if high < _MOST else math.inf
    if operator in _OF_ONE:
        return _OF_ONE[operator]
    return bounds(definition(e), known) if operator in ACTIVATIONS else ANY


def _of_two(operator: str, a: Bounds, b: Bounds) -> Bounds:
    match operator:
        case "+":
            return a[0] + b[0], a[1] + b[1]
        case "-":
            return a[0] - b[1], a[1] - b[0]
        case "*":
            return _hull(*((product, product) for product in (_times(p, q) for p in a for q in b)))
        case "/" if b[0] > 0 or b[1] < 0:
            return _of_two("*", a, (1 / b[1], 1 / b[0]))
        case "max":
            return max(a[0], b[0]), max(a[1], b[1])
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
    return ANY


def _hull(*parts: Bounds) -> Bounds:
    return min(low for low, _ in parts), max(high for _, high in parts)


def _even_power(a: Bounds, n: float) -> Bounds:
    least = 0.0 if a[0] <= 0 <= a[1] else min(abs(a[0]), abs(a[1]))
    return _power(least, n), _power(max(abs(a[0]), abs(a[1])), n)


def _power(x: float, n: float) -> float:
    try:
        return x**n
    except OverflowError:
        return math.inf


def _times(p: float, q: float) -> float:
    return 0.0 if p == 0 or q == 0 else p * q
