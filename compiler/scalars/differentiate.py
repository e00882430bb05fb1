"""Derivatives of expressions, as PyTorch's autograd has them.

Where a function has no derivative, the one of the PyTorch that `print_torch` writes:

    max(a, b), min(a, b)    the larger takes it all, equal ones half each (`torch.maximum`)
    max(a, 0), min(a, 6)    with a number, equal counts as inside (`clamp`): slope 1 at the edge
    abs                     0 at 0
    relu, leaky_relu        as below 0, at 0; elu and selu: the slope of exp
    hardsigmoid, hardswish  at their corners as outside
    floor, ceil, //, ==, <  0 everywhere
    a % b                   1 in a, -(a // b) in b
    a ^ b                   0 in a where b is 0; 0 in b where a is 0 and b is not negative
    a if c else b           that of the chosen side alone (see guard.py)

What is chosen is chosen last: in the chain rule a side of slope 0 is 0 however steep the rest is, so sqrt(max(x, 0))
has slope 0 at x < 0, where sqrt at 0 alone is infinitely steep.
"""

from __future__ import annotations

from collections.abc import Callable

from .activations import ACTIVATIONS, definition
from .expression import (
    HALF,
    ONE,
    ZERO,
    Call,
    Compute,
    Constant,
    Expression,
    Variable,
    compute,
    constant,
    inlined,
    substitute,
)
from .simplify import negated, simplify

_FLAT = frozenset({"floor", "ceil", "//"})
_TWO_OVER_ROOT_PI = 1.1283791670955125739


def differentiate(expression: Expression, name: str) -> Expression:
    """The derivative with respect to the parameter `name`: it reads the same parameters, and its calls are inlined.

    Parameters whose values are known should be put in before (`applied`): `clamp` is told from `maximum` by that.
    """
    return simplify(_derivative(inlined(expression), name))


def _derivative(e: Expression, name: str) -> Expression:
    match e:
        case Variable(name=own):
            return ONE if own == name else ZERO
        case Constant():
            return ZERO
        case Compute("if", (condition, then, otherwise)):
            sides = _derivative(then, name), _derivative(otherwise, name)
            return ZERO if sides == (ZERO, ZERO) else compute("if", condition, *sides)
        case Compute(operator=operator) if operator in _FLAT:
            return ZERO
        case Compute(operands=(x,)):
            dx = _derivative(x, name)
            return ZERO if dx == ZERO else _of_one(e, x, dx)
        case Compute(operator=operator, operands=(a, b)):
            da, db = _derivative(a, name), _derivative(b, name)
            if da == db == ZERO:
                return ZERO
            if operator in ACTIVATIONS:
                return _chained(da, _slope(e, a)) if db == ZERO else _derivative(definition(e), name)
            return _of_two(e, a, b, da, db)
        case Call():
            raise AssertionError("calls are inlined before")
    raise AssertionError(e)


def _of_one(e: Compute, x: Expression, dx: Expression) -> Expression:
    """The chain rule for a function of one number."""
    match e.operator:
        case "neg":
            return _changed(dx, negated)
        case "sqrt":
            return _over(dx, compute("*", constant(2), e))
        case "exp":
            return _times(dx, e)
        case "log":
            return _over(dx, x)
        case "abs":
            return _times(dx, _sign(x))
        case "sin":
            return _times(dx, compute("cos", x))
        case "cos":
            return _times(dx, negated(compute("sin", x)))
        case "erf":
            bell = compute("exp", negated(compute("^", x, constant(2))))
            return _times(dx, compute("*", constant(_TWO_OVER_ROOT_PI), bell))
        case "sigmoid":
            return _times(dx, compute("*", e, compute("-", ONE, e)))
        case "tanh":
            return _times(dx, compute("-", ONE, compute("^", e, constant(2))))
        case "softplus":
            return _times(dx, compute("sigmoid", x))
    assert e.operator in ACTIVATIONS, e.operator
    return _chained(dx, _slope(e, x))


def _slope(e: Compute, x: Expression) -> Expression:
    """The derivative of an activation at x, from its definition."""
    if e.operator == "hardswish":  # by the product rule nothing of it would be chosen to be 0
        between = compute("+", compute("/", x, constant(3)), HALF)
        above = compute("if", compute(">=", x, constant(3)), ONE, between)
        return compute("if", compute("<=", x, constant(-3)), ZERO, above)
    at = Variable(" x")  # no name of a spec has a space in it
    plain = definition(Compute(e.operator, (at, *e.operands[1:])))
    return substitute(_derivative(plain, at.name), {at.name: x})


def _of_two(e: Compute, a: Expression, b: Expression, da: Expression, db: Expression) -> Expression:
    match e.operator:
        case "+":
            return _plus(da, db)
        case "-":
            return _minus(da, db)
        case "*":
            return _plus(_times(da, b), _changed(db, lambda slope: _product(a, slope)))
        case "/":
            return _minus(_over(da, b), _times(db, compute("/", e, b)))
        case "%":
            return _minus(da, _times(db, compute("//", a, b)))
        case "^":
            return _plus(_chained(da, _power_in_base(a, b)), _chained(db, _power_in_exponent(e, a, b)))
        case "max":
            return _plus(_chained(da, _share(">=", a, b)), _chained(db, _share(">=", b, a)))
        case "min":
            return _plus(_chained(da, _share("<=", a, b)), _chained(db, _share("<=", b, a)))
    raise AssertionError(e.operator)


def _power_in_base(a: Expression, b: Expression) -> Expression:
    slope = _product(b, compute("^", a, compute("-", b, ONE)))
    if isinstance(b, Constant):
        return ZERO if b.number.value == 0 else slope
    return compute("if", compute("==", b, ZERO), ZERO, slope)


def _power_in_exponent(e: Expression, a: Expression, b: Expression) -> Expression:
    if isinstance(a, Constant) and a.number.value is not None and a.number.value <= 0:
        if a.number.value == 0:
            # Powers of 0 are infinite below 0, and so is the slope there.
            return compute("if", compute(">=", b, ZERO), ZERO, negated(e))
        # None, as it is for PyTorch; backends take no logarithm of a number.
        return compute("log", compute("min", a, b))
    slope = compute("*", e, compute("log", a))
    if isinstance(a, Constant):
        return slope
    nothing = compute("and", compute("==", a, ZERO), compute(">=", b, ZERO))
    return compute("if", nothing, ZERO, slope)


def _share(sign: str, a: Expression, b: Expression) -> Expression:
    """How much of the derivative `a` has in max(a, b) (sign >=) or min(a, b) (sign <=)."""
    if isinstance(a, Constant):
        return ZERO
    tie = ONE if isinstance(b, Constant) else compute("if", compute("==", a, b), HALF, ONE)
    return compute("if", compute(sign, a, b), tie, ZERO)


def _sign(x: Expression) -> Expression:
    below = compute("if", compute("<", x, ZERO), constant(-1), ZERO)
    return compute("if", compute(">", x, ZERO), ONE, below)


# What has no derivative adds nothing, whatever it is multiplied with: autograd does not multiply it either. That holds
# entry by entry as well, so a slope that chooses, `slope if c else 0`, is changed within its sides.


def _changed(slope: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The slope with a product or quotient made of all in it that is not known to be 0."""
    if slope == ZERO:
        return ZERO
    if not _may_be_cut(slope):
        return change(slope)
    assert isinstance(slope, Compute)
    condition = slope.operands[:1] if slope.operator == "if" else ()
    parts = [_changed(part, change) for part in slope.operands[len(condition) :]]
    return compute(slope.operator, *condition, *parts)


def _may_be_cut(slope: Expression) -> bool:
    """Whether some of it is 0 by a choice."""
    match slope:
        case Compute("if", (Compute(operands=(x, *_)), *sides)) if slope != _sign(x):  # autograd multiplies with a sign
            return any(side == ZERO or _may_be_cut(side) for side in sides)
        case Compute("+" | "-", parts):
            return any(_may_be_cut(part) for part in parts)
    return False


def _chained(inner: Expression, outer: Expression) -> Expression:
    """The product of two slopes."""
    return _changed(inner, lambda slope: _changed(outer, lambda steep: _product(slope, steep)))


def _times(slope: Expression, factor: Expression) -> Expression:
    return _changed(slope, lambda part: _product(part, factor))


def _over(slope: Expression, divisor: Expression) -> Expression:
    return _changed(slope, lambda part: compute("/", part, divisor))


def _product(a: Expression, b: Expression) -> Expression:
    if a == ZERO or b == ZERO:
        return ZERO
    return b if a == ONE else a if b == ONE else compute("*", a, b)


def _plus(a: Expression, b: Expression) -> Expression:
    return b if a == ZERO else a if b == ZERO else compute("+", a, b)


def _minus(a: Expression, b: Expression) -> Expression:
    return a if b == ZERO else _changed(b, negated) if a == ZERO else compute("-", a, b)
