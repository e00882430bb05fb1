"""Between which values a number lies whose dims are still open, by what the inputs promise of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Literal as Choice

from .arithmetic import NumberError, Value, apply
from .number import Literal, Number, Operation, Reference, is_whole


def limit(n: Number) -> Value | None:
    """The largest value a number can take at run time, or None where nothing bounds it.

    Of an expression a bound, not always the nearest: its parts are taken to vary each for itself.
    """
    return _range(n)[1]


def least(n: Number) -> Value | None:
    """The smallest value a number can take at run time, as `limit`. A dim is 1 at least."""
    return _range(n)[0]


def _range(n: Number) -> tuple[Value | None, Value | None]:
    if n.value is not None:
        return n.value, n.value
    match n:
        case Reference(target=None, least=low, most=high):
            return Fraction(1) if low is None else low.value, None if high is None else high.value
        case Reference(target=Literal() | Reference() | Operation() as target):
            return _range(target)
        case Operation("neg", (a,)):
            low, high = _range(a)
            return _known("neg", high), _known("neg", low)
        case Operation("+" | "max" | "min" | "floor" | "ceil" as operator, operands):
            lows, highs = zip(*map(_range, operands), strict=True)
            return _known(operator, *lows), _known(operator, *highs)
        case Operation("-", (a, b)):
            (low, high), (from_, to) = _range(a), _range(b)
            return _known("-", low, to), _known("-", high, from_)
        case Operation("*", (a, b)):
            (low, high), (from_, to) = _range(a), _range(b)
            if low is None or from_ is None or low < 0 or from_ < 0:
                return None, None
            return low * from_, _known("*", high, to)
        case Operation("^", (a, b)) if is_whole(b) and b.value >= 0:  # type: ignore[operator]
            low, high = _range(a)
            return (None, None) if low is None or low < 0 else (_known("^", low, b.value), _known("^", high, b.value))
        case Operation("/" | "//" | "round_up" as operator, (a, b)) if b.value is not None and b.value > 0:
            low, high = _range(a)
            return _known(operator, low, b.value), _known(operator, high, b.value)
        case Operation("%", (_, b)) if b.value is not None and b.value > 0:
            return Fraction(0), b.value
    return None, None


def _known(operator: str, *values: Value | None) -> Value | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    try:
        return apply(operator, *known)
    except NumberError:
        return None


def at_bounds(n: Number, side: Choice["least", "most"]) -> Value | None:
    """The value where every open dim is as small, or as large, as the inputs let it be; None where they do not say.

    One that a model has to be able to take: unlike `least` and `limit` it is no bound of expressions that fall as a
    dim grows.
    """

    def bound(reference: Reference) -> Value | None:
        found = reference.least if side == "least" else reference.most
        return None if found is None else found.value

    return value_at(n, bound)


def value_at(n: Number, size: Callable[[Reference], Value | None]) -> Value | None:
    """The value where open dims are as large as `size` says; None where it does not say."""
    if n.value is not None:
        return n.value
    match n:
        case Reference(target=None):
            return size(n)
        case Reference(target=Literal() | Reference() | Operation() as target):
            return value_at(target, size)
        case Operation(operator, operands):
            return _known(operator, *(value_at(operand, size) for operand in operands))
    raise AssertionError(n)
