"""Plainer expressions of the same value.

    constants           worked out exactly and rounded once; those that name the file's constants keep how they were
                        written, as far as they have a name in them
    x + 0, x - 0, 0 - x, x * 1, x * -1, x / 1, x / -1, x ^ 1, x ^ 0
    --x, a + -b, a - -b, -a * b, -a * -b, a * -b, -a / b, a / -b
    a if true, a if c else a, a condition that compares constants

The value stays the same, bit by bit, with NaN and infinities: `x * 0` and `x - x` stay as they are, since they are NaN
where x is infinite. Only two things may differ: the sign of a zero (0 - x is -0.0 where x is 0.0), and the last digit
where constants were rounded one by one before.
"""

from __future__ import annotations

from ..semantics.arithmetic import MATHS, NumberError, apply
from ..semantics.number import Literal, number, operation, references
from .expression import ONE, Compute, Constant, Expression, has_value, is_truth, rebuilt

_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "^", "neg"}) | MATHS


def simplify(expression: Expression) -> Expression:
    """The same value in fewer operations."""
    plain = rebuilt(expression, simplify)
    if isinstance(plain, Compute):
        return _simpler(plain)
    return _folded(plain) if isinstance(plain, Constant) else plain


def _folded(plain: Constant) -> Constant:
    """A number that names nothing is its value."""
    n = plain.number
    if isinstance(n, Literal) or n.value is None or any(True for _ in references(n)):
        return plain
    return Constant(number(n.value))


def _simpler(e: Compute) -> Expression:
    if e.operator == "if":
        return _chosen(e)
    if all(isinstance(part, Constant) for part in e.operands) and e.operator in _ARITHMETIC:
        try:
            return _folded(Constant(operation(e.operator, *(p.number for p in e.operands if isinstance(p, Constant)))))
        except NumberError:
            return e  # it has its value at run time: NaN or an infinity
    match e:
        case Compute("neg", (a,)):
            return negated(a)
        case Compute("+", (a, b)) if has_value(b, 0) or has_value(a, 0):
            return a if has_value(b, 0) else b
        case Compute("+", (a, Compute("neg", (b,)))):
            return Compute("-", (a, b))
        case Compute("-", (a, b)) if has_value(b, 0) or has_value(a, 0):
            return a if has_value(b, 0) else negated(b)
        case Compute("-", (a, Compute("neg", (b,)))):
            return Compute("+", (a, b))
        case Compute("*" | "/" as operator, (a, b)):
            return _product(operator, a, b)
        case Compute("^", (a, b)) if has_value(b, 1) or has_value(b, 0):
            return a if has_value(b, 1) else ONE
    return e


def _product(operator: str, a: Expression, b: Expression) -> Expression:
    """Signs are taken out of products, where they may meet another."""
    if has_value(b, 1):
        return a
    if operator == "*" and has_value(a, 1):
        return b
    if (positive := _without_sign(a)) is not None:
        return negated(_product(operator, positive, b))
    if (positive := _without_sign(b)) is not None:
        return negated(_product(operator, a, positive))
    return Compute(operator, (a, b))


def _without_sign(e: Expression) -> Expression | None:
    """What `-e` is, where that is plainer: e is `-x`, or the number -1."""
    match e:
        case Compute("neg", (x,)):
            return x
        case Constant() if has_value(e, -1):
            return ONE
    return None


def negated(e: Expression) -> Expression:
    """`-e`, without two signs in a row."""
    match e:
        case Compute("neg", (x,)):
            return x
        case Constant(number=Literal(value=value)):
            return Constant(number(-value))
    return Compute("neg", (e,))


def _chosen(e: Compute) -> Expression:
    condition, then, otherwise = e.operands
    if then == otherwise:
        return then
    match condition:
        case Compute(operator, (Constant(number=a), Constant(number=b))) if a.value is not None and b.value is not None:
            return then if apply(operator, a.value, b.value) else otherwise
        case _:
            assert is_truth(condition)
            return e
