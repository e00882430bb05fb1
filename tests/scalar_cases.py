"""Scalar expressions for the tests: read from text, and drawn at random."""

from __future__ import annotations

import hypothesis.strategies as st

from dlspec.compiler.scalars import Functions, ScalarFunction
from dlspec.compiler.scalars.expression import (
    ZERO,
    Compute,
    Constant,
    Expression,
    Variable,
    compute,
    constant,
    variables,
)
from dlspec.compiler.semantics.number import Reference
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.resolve import resolve
from dlspec.grammar import Diagnostic, Source, parse

SQUARED_RELU = "squared_relu(x) = max(x, 0) ^ 2"
CAP = "cap(x, limit = 30) = limit * (2 / (1 + exp(-2 * x / limit)) - 1)"
TILT = "tilt(s, q, k, h, slope) = s - slope * abs(q - k) if q > k else s"
WINDOW = "window(s, q, k, h) = s if (q >= k) * (q - k < 64) else -1e30"


def functions(text: str) -> tuple[Functions, Report]:
    """The functions of a file with these lines, read; what they lack is in the report."""
    source = Source("f.dlspec", f"dlspec 1\n{text}\n")
    file, found = parse(source)
    assert file is not None and not found, found
    scope = resolve(source, file, Report()).scope
    report = Report()
    result = Functions(scope.functions, scope, report)
    result.read_all()
    return result, report


def function(text: str, name: str | None = None) -> ScalarFunction:
    """The function of that name in these lines, by default that of the last."""
    found, report = functions(text)
    assert not report.diagnostics, report.diagnostics
    result = found.find(name or text.splitlines()[-1].split("(")[0])
    assert result is not None
    return result


def mistakes(text: str) -> list[Diagnostic]:
    return functions(text)[1].diagnostics


# --- random expressions over x and y ---

_SMOOTH = (
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "erf",
    "sigmoid",
    "tanh",
    "softplus",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
)
_KINKED = ("abs", "relu", "elu", "selu", "hardswish", "hardsigmoid")
_JUMPS = ("floor", "ceil")
X, Y = Variable("x"), Variable("y")
_VARIABLES = st.sampled_from([X, Y])
_LEAVES = st.one_of(
    _VARIABLES,
    st.sampled_from([0, 1, -1, 2, 3, 0.5, -2.5, 0.1]).map(constant),
    st.sampled_from([2, 4]).map(lambda n: Constant(Reference(f"width_{n}", "constant", None, constant(n).number))),
)


@st.composite
def expressions(draw: st.DrawFn, *, jumps: bool, depth: int = 4) -> Expression:
    """Expressions over x and y, nested `depth` deep at most; `jumps` says whether their values may jump.

    As in what is read, no operator has numbers on all sides: that would be a number.
    """
    kinds = ["leaf", "one", "two", "two", "leaky", *(["if"] if jumps else [])]
    kind = draw(st.sampled_from(kinds)) if depth else "leaf"

    def inner() -> Expression:
        return draw(expressions(jumps=jumps, depth=depth - 1))

    match kind:
        case "leaf":
            return draw(_LEAVES)
        case "one":
            drawn = compute(draw(st.sampled_from(["neg", *_SMOOTH, *_KINKED, *(_JUMPS if jumps else ())])), inner())
        case "two":
            signs = ["+", "-", "*", "/", "^", "max", "min", *(("//", "%") if jumps else ())]
            drawn = compute(draw(st.sampled_from(signs)), inner(), inner())
        case "leaky":
            drawn = compute("leaky_relu", inner(), draw(_LEAVES))
        case _:
            conditions = [
                compute(draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="])), draw(_VARIABLES), inner())
                for _ in range(2)
            ]
            condition = compute("and", *conditions) if draw(st.booleans()) else conditions[0]
            drawn = compute("if", condition, inner(), inner())
    return drawn if variables(drawn) else draw(_VARIABLES)


@st.composite
def choices(draw: st.DrawFn) -> Compute:
    """A choice by how x or y compares with a number or the other, between two expressions without any."""
    compared = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="])), draw(_VARIABLES), draw(_LEAVES)
    condition = compute(*draw(st.sampled_from([compared, (compared[0], compared[2], compared[1])])))
    sides = (draw(expressions(jumps=False, depth=3)) for _ in range(2))
    return compute("if", condition if variables(condition) else compute("<", X, constant(1)), *sides)


_GENTLE = [
    *(X, Y),
    *(compute(sign, X, Y) for sign in ("+", "-", "*", "max", "min")),
    *(compute(operator, X) for operator in ("neg", "abs", "sin", "tanh", "silu", "elu")),
    compute("-", compute("^", X, constant(2)), constant(1)),
]


@st.composite
def cut(draw: st.DrawFn, depth: int = 2) -> Expression:
    """Expressions that are chosen to be 0 in places, and have no slope there."""
    inner = draw(st.sampled_from(_GENTLE))
    where = compute(draw(st.sampled_from(["<", ">="])), draw(_VARIABLES), constant(0.3))
    cuts = [
        *(compute("max", inner, ZERO), compute("neg", compute("min", ZERO, inner))),
        *(compute(operator, inner) for operator in ("relu", "hardsigmoid", "hardswish")),
        *(compute("if", where, inner, ZERO), compute("if", where, ZERO, inner)),
    ]
    drawn = draw(st.sampled_from(cuts))
    if depth and draw(st.booleans()):
        other = draw(st.one_of(cut(depth - 1), st.sampled_from(_GENTLE)))
        drawn = compute(draw(st.sampled_from(["+", "-", "*", "max", "min"])), drawn, other)
    return drawn


@st.composite
def steep(draw: st.DrawFn, depth: int = 2) -> Expression:
    """Functions whose slope at 0 is infinite or none, of what is cut."""
    inner = draw(steep(depth - 1) if depth and draw(st.booleans()) else cut())
    powers = [compute("^", inner, constant(n)) for n in (0.5, 1 / 3, 0.9)]
    exponential = compute("exp", compute("/", constant(-1), inner))
    kinds = [*powers, exponential, compute("sqrt", inner), compute("log", inner), compute("/", inner, inner)]
    return draw(st.sampled_from(kinds))
