"""Exact arithmetic on known values: what an operation or a function of the language makes of them.

Values are exact: whole numbers and decimal fractions are `Fraction`s (0.1 * 6e-4 is 6e-5), floats appear only where a
power or a function leaves the rationals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

Value: TypeAlias = Fraction | float

_MOST_BITS = 1024
"""A number as long as this is larger than a float can be."""


class NumberError(ValueError):
    """A number that cannot be worked out: a division by zero, the logarithm of a negative number."""


def exact_value(value: int | float) -> Value:
    """Exactly what the shortest spelling of the number says."""
    return Fraction(value) if isinstance(value, int) or value == int(value) else Fraction(repr(value))


def spell(value: Value) -> str:
    """The shortest Python spelling: `64`, `0.1`, `6e-5`."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator)
    text = repr(float(value))
    if "e" not in text:
        if not text.startswith("0.000"):
            return text
        text = f"{float(value):.16e}"
        mantissa, exponent = text.split("e")
        text = f"{float(mantissa):.15g}e{exponent}"
    mantissa, exponent = text.split("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent)}"


def _power(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1 and abs(b) <= 64:
        return a ** int(b)
    result = float(a) ** float(b)
    if isinstance(result, complex):
        raise NumberError("a fractional power of a negative number")
    return result


def _round_up(a: Value, b: Value) -> Value:
    return Fraction(math.ceil(a / b)) * Fraction(b)


OPERATIONS: dict[str, Callable[..., Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: Fraction(a // b),
    "%": lambda a, b: a % b,
    "^": _power,
    "neg": lambda a: -a,
    "==": lambda a, b: Fraction(a == b),
    "!=": lambda a, b: Fraction(a != b),
    "<": lambda a, b: Fraction(a < b),
    "<=": lambda a, b: Fraction(a <= b),
    ">": lambda a, b: Fraction(a > b),
    ">=": lambda a, b: Fraction(a >= b),
    "sqrt": lambda a: _power(a, Fraction(1, 2)),
    "exp": lambda a: math.exp(a),
    "log": lambda a: math.log(a),
    "sin": lambda a: math.sin(a),
    "cos": lambda a: math.cos(a),
    "abs": lambda a: abs(a),
    "min": lambda *a: min(a),
    "max": lambda *a: max(a),
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
    "round_up": _round_up,
}
"""Every operator and mathematical function of the language, of values that are known."""


MATHS = frozenset({"sqrt", "exp", "log", "sin", "cos", "abs", "min", "max", "floor", "ceil", "round_up"})


def arguments_of(word: str) -> tuple[str, str]:
    """What a mathematical function takes, in words, and an example."""
    match word:
        case "min" | "max":
            return "two arguments or more", f"{word}(a, b)"
        case "round_up":
            return "two arguments", "round_up(dim, 64)"
    return "one argument", f"{word}(dim)"


COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


def apply(operator: str, *values: Value) -> Value:
    """The exact value of an operation on known values. Raises NumberError."""
    try:
        result = OPERATIONS[operator](*values)
    except ZeroDivisionError:
        raise NumberError("a division by zero") from None
    except OverflowError:
        raise NumberError(f"the result of {operator} is too large") from None
    except ValueError as error:
        raise NumberError(f"{operator} has no value here ({error})") from None
    if isinstance(result, Fraction):
        return _rounded(result)
    if math.isfinite(result) and result == int(result):
        return Fraction(int(result))
    return result


def _rounded(result: Fraction) -> Value:
    """The result, or the float nearest to one of so many places that nothing could tell the two apart: products of
    products would have no end of digits."""
    return result if result.denominator.bit_length() <= 2 * _MOST_BITS or too_large(result) else float(result)


def too_large(value: Value | None) -> bool:
    """Whether no float is as large."""
    if not isinstance(value, Fraction):
        return False
    return value.numerator.bit_length() - value.denominator.bit_length() >= _MOST_BITS
