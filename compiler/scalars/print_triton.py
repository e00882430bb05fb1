"""An expression in Triton: `tl.exp(x)`, `tl.where(...)`, without libdevice, so that the interpreter runs it too.

Every variable is a float32 or float64 tensor or scalar. Results are PyTorch's but for the last digits, and for two
things that kernels do without: `max` and `min` of a NaN and a number are the number, and `//` and `%` of numbers
within a rounding of a whole quotient may fall on its other side.
"""

from __future__ import annotations

from collections.abc import Callable

from ..semantics.number import Number, whole
from .activations import definition
from .expression import HALF, ONE, Compute, Constant, Expression, compute, constant
from .python_text import PRODUCT, PythonPrinter, Text, python_number

_FUNCTIONS = {
    name: f"tl.{name}" for name in ("sqrt", "exp", "log", "abs", "sin", "cos", "floor", "ceil", "erf", "sigmoid")
} | {"max": "tl.maximum", "min": "tl.minimum"}

_BY_PRODUCT = 4
"""Powers up to this one are written as products; Triton computes what they have in common once."""


def print_triton(
    expression: Expression,
    *,
    number: Callable[[Number], str] = python_number,
    name: Callable[[str], str] = lambda name: name,
) -> str:
    """The expression over Triton variables.

    `number` says how a constant is written (a `tl.constexpr` for one of the file's), `name` how a parameter is called.
    """
    return _Triton(number, name).text(expression)


class _Triton(PythonPrinter):
    def constant(self, n: Number) -> Text:
        piece = super().constant(n)
        # `tl.where(c, 1, 0)` would be a whole number, and `2 ** 3` is no float either.
        return Text(f"{piece.text}.0", piece.level) if piece.text.lstrip("-").isdigit() else piece

    def choice(self, condition: Expression, then: Expression, otherwise: Expression) -> Text:
        return self.called("tl.where", condition, then, otherwise)

    def arithmetic(self, operator: str, a: Expression, b: Expression) -> Text:
        quotient = compute("floor", compute("/", a, b))
        if operator == "//":
            return self.piece(quotient)
        if operator == "%":  # Triton's own has the sign of C
            return self.piece(compute("-", a, compute("*", quotient, b)))
        return super().arithmetic(operator, a, b)

    def power(self, a: Expression, b: Expression) -> Text:
        if not isinstance(b, Constant):
            return self.piece(_any_power(a, b))
        value = b.number.value
        if value == 0.5:
            return self.called("tl.sqrt", a)
        if value is None or value != int(value):
            return self.piece(compute("exp", compute("*", b, compute("log", a))))
        n = whole(b.number)
        if n < 0:
            return self.piece(compute("/", ONE, compute("^", a, constant(-n))))
        if n > _BY_PRODUCT:
            return self.piece(_large_power(a, b, n))
        factor = self.piece(a).at(PRODUCT + 1)
        return Text(" * ".join([factor] * n), PRODUCT) if n else Text("1.0")

    def function(self, e: Compute) -> Text:
        if e.operator in _FUNCTIONS:
            return self.called(_FUNCTIONS[e.operator], *e.operands)
        match e:
            case Compute("softplus"):
                return self.piece(_softplus(e))
            case Compute("tanh", (Compute("softplus", (x,)),)):
                return self.piece(_tanh_of_softplus(x))
        return super().function(e)


def _softplus(e: Compute) -> Expression:
    """Far below 0 by the series of log(1 + exp(x)), of which 1 + exp(x) would keep few digits, and then none."""
    (x,) = e.operands
    small = compute("exp", x)
    more = compute("-", HALF, compute("/", small, constant(3)))
    series = compute("*", small, compute("-", ONE, compute("*", small, more)))
    return compute("if", compute("<", x, constant(-4)), series, definition(e))


def _tanh_of_softplus(x: Expression) -> Expression:
    """Of mish and its slope, by one exponential: n / (n + 2), where n = exp(x) * (exp(x) + 2)."""
    # From 20 on it is 1, before n overflows.
    small, two = compute("exp", compute("min", x, constant(20))), constant(2)
    n = compute("*", small, compute("+", small, two))
    return compute("/", ONE, compute("+", ONE, compute("/", two, n)))


def _large_power(a: Expression, b: Expression, n: int) -> Expression:
    size = compute("exp", compute("*", b, compute("log", compute("abs", a))))
    return size if n % 2 == 0 else compute("if", compute("<", a, constant(0)), compute("neg", size), size)


def _any_power(a: Expression, b: Expression) -> Expression:
    """`a ^ b` by exp and log, also for a below 0, where only whole b have a value."""
    zero, two = constant(0), constant(2)
    size = compute("exp", compute("*", b, compute("log", compute("abs", a))))
    parity = compute("%", b, two)
    signed = compute("if", compute("==", parity, ONE), compute("neg", size), compute("log", constant(-1)))
    below = compute("if", compute("==", parity, zero), size, signed)
    known = compute("if", compute("<", a, zero), below, size)
    return compute("if", compute("==", b, zero), ONE, known)
