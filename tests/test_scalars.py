"""Functions of a file: read, simplified, and printed for numpy; nothing here needs a framework but numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scalar_cases import CAP, SQUARED_RELU, TILT, WINDOW, expressions, function, functions
from scalar_values import GRID, value

from dlspec.compiler.scalars import Constant, Expression, Variable, applied, read_expression
from dlspec.compiler.scalars.differentiate import differentiate
from dlspec.compiler.scalars.expression import compute, constant
from dlspec.compiler.scalars.print_numpy import print_numpy
from dlspec.compiler.scalars.print_torch import functions_called, print_torch
from dlspec.compiler.scalars.print_triton import print_triton
from dlspec.compiler.scalars.simplify import simplify
from dlspec.compiler.scalars.source import function_source
from dlspec.compiler.semantics.number import Reference, number, spelled

X, Y = Variable("x"), Variable("y")


def numpy_value(e: Expression, **at: Any) -> np.ndarray:
    names = {"np": np, "math": math, **(at or GRID)}
    with np.errstate(all="ignore"):
        return np.asarray(eval(print_numpy(e), names), float) + 0 * names["x"]  # noqa: S307


def same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-12, atol=1e-300)


# --- reading and the text of PyTorch ---


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (SQUARED_RELU, "def squared_relu(x: Tensor) -> Tensor:\n    return x.clamp(min=0) ** 2\n"),
        (
            CAP,
            "def cap(x: Tensor, limit: float = 30) -> Tensor:\n"
            "    return limit * (2 / (1 + torch.exp(-2 * x / limit)) - 1)\n",
        ),
        ("f(x) = x ^ 2", "def f(x: Tensor) -> Tensor:\n    return x**2\n"),
        ("f(x) = -(x ^ 2)", "def f(x: Tensor) -> Tensor:\n    return -(x**2)\n"),
        ("f(x) = min(max(x, 0), 6) / 6", "def f(x: Tensor) -> Tensor:\n    return x.clamp(0, 6) / 6\n"),
        ("f(x) = max(min(6, x + 1), 0)", "def f(x: Tensor) -> Tensor:\n    return (x + 1).clamp(0, 6)\n"),
        ("f(x) = min(max(x, 6), 0)", "def f(x: Tensor) -> Tensor:\n    return x.clamp(min=6).clamp(max=0)\n"),
        ("f(x) = max(x, -x, 1)", "def f(x: Tensor) -> Tensor:\n    return torch.maximum(x, -x).clamp(min=1)\n"),
        ("f(x) = 2 ^ -x", "def f(x: Tensor) -> Tensor:\n    return 2**-x\n"),
        ("f(x) = x - (x - 1) - 2", "def f(x: Tensor) -> Tensor:\n    return x - (x - 1) - 2\n"),
        ("f(x) = 1 if x > 0 else 0", "def f(x: Tensor) -> Tensor:\n    return (x > 0).to(x.dtype)\n"),
        ("f(x) = x * (x > 0)", "def f(x: Tensor) -> Tensor:\n    return x * (x > 0).to(x.dtype)\n"),
        (
            "f(x) = 0.1 if x > 0 else 5%",
            "def f(x: Tensor) -> Tensor:\n    return torch.where(x > 0, x.new_full((), 0.1), 0.05)\n",
        ),
        ("f(x) = silu(x) + gelu(x, approximate = tanh)", None),
        ("f(x) = swish(x, 2)", "def f(x: Tensor) -> Tensor:\n    return x * torch.sigmoid(2 * x)\n"),
        ("f(x) = swish(x)", "def f(x: Tensor) -> Tensor:\n    return F.silu(x)\n"),
        ("f(x) = leaky_relu(x, slope = 0.2)", "def f(x: Tensor) -> Tensor:\n    return F.leaky_relu(x, 0.2)\n"),
        ("f(x) = x // 2", 'def f(x: Tensor) -> Tensor:\n    return x.div(2, rounding_mode="floor")\n'),
        ("f(x) = 7 % x", "def f(x: Tensor) -> Tensor:\n    return torch.remainder(x.new_full((), 7), x)\n"),
        ("f(x) = round_up(x, 64)", "def f(x: Tensor) -> Tensor:\n    return torch.ceil(x / 64) * 64\n"),
        ("f(x) = x ^ 0 - x", "def f(x: Tensor) -> Tensor:\n    return x**0 - x\n"),
        (
            "f(x, a) = x * exp(a) * max(a, 0) * (1 if a > 0 else x)",
            "def f(x: Tensor, a: float) -> Tensor:\n"
            "    return x * math.exp(a) * max(a, 0) * (x.new_full((), 1) if a > 0 else x)\n",
        ),
        (
            "dim = 8\nscale = sqrt(dim)\nf(x) = x * (4 * dim) / scale",
            "def f(x: Tensor) -> Tensor:\n    return x * (4 * config.dim) / config.scale\n",
        ),
        ("sharp = true\nf(x) = x ^ 2 if sharp else relu(x)", "def f(x: Tensor) -> Tensor:\n    return x**2\n"),
    ],
)
def test_source_of_a_function(text: str, source: str | None) -> None:
    found = function_source(
        function(text), number=lambda n: spelled(n, lambda name: f"config.{name.name}", python=True)
    )
    assert found == (source or 'def f(x: Tensor) -> Tensor:\n    return F.silu(x) + F.gelu(x, approximate="tanh")\n')


def test_source_of_a_score() -> None:
    tensors = {"s", "q", "k", "h", "slope"}
    assert function_source(function(TILT), tensors=tensors) == (
        "def tilt(s: Tensor, q: Tensor, k: Tensor, h: Tensor, slope: Tensor) -> Tensor:\n"
        "    return torch.where(q > k, s - slope * torch.abs(q - k), s)\n"
    )
    assert function_source(function(WINDOW), tensors=tensors).endswith(
        "    return torch.where((q >= k) & (q - k < 64), s, -1e30)\n"
    )


def test_source_names_make_way() -> None:
    text = function_source(function("f(math, torch = 2) = math * torch"), name=lambda name: f"{name}_")
    assert text == "def f_(math_: Tensor, torch_: float = 2) -> Tensor:\n    return math_ * torch_\n"


def test_a_function_calls_others_by_name() -> None:
    text = f"{SQUARED_RELU}\n{CAP}\nf(x) = cap(squared_relu(x)) + cap(x, 5) + cap(limit = 30, x = x)"
    f = function(text)
    assert function_source(f).endswith("return cap(squared_relu(x)) + cap(x, 5) + cap(x)\n")
    assert [called.name for called in functions_called(f.value, {"x"})] == ["squared_relu", "cap"]
    same(numpy_value(applied(f)), value(applied(f), GRID))


def test_a_call_that_does_not_fit_the_function_iswritten_out() -> None:
    """Its first argument is a number, or a later one a tensor: the function takes a tensor, then numbers."""
    text = f"{CAP}\nsteep(x, by) = exp(x * by)\nf(x) = steep(2, x) + cap(x, x) + steep(1, 0)"
    f = function(text)
    body = function_source(f)
    assert "cap(" not in body and "steep(" not in body and "math.exp(1 * 0)" in body
    assert functions_called(f.value, {"x"}) == ()


def test_constants_keep_their_names() -> None:
    value = applied(function("dim = 8\nf(x) = x * (4 * dim)"))
    slope = differentiate(value, "x")
    assert print_triton(slope, number=lambda n: spelled(n, lambda r: r.name.upper(), python=True)) == "4 * DIM"
    assert print_numpy(slope) == "4 * 8"


def test_a_flow_is_read_over_given_parameters() -> None:
    found, report = functions("g(x) = exp(x)")
    flow = functions("f(a, b) = g(a) + b")[0].written["f"].value
    expression = read_expression(flow, ("a", "b"), found)
    assert expression is not None and not report.diagnostics
    assert print_torch(expression, {"a", "b"}) == "g(a) + b"


def test_conditions_are_joined_by_if() -> None:
    both = function("f(x) = x if (x < 3 if x > 0 else false) else 0")
    assert both.value == function("f(x) = x if (x > 0) * (x < 3) else 0").value
    either = function("f(x) = x if (true if x < 0 else x > 3) else 0")
    assert either.value == function("f(x) = x if (x < 0) + (x > 3) else 0").value


def test_defaults_and_given_numbers() -> None:
    cap = function(CAP)
    assert print_numpy(applied(cap)) == "30 * (2 / (1 + np.exp(-2 * x / 30)) - 1)"
    assert print_numpy(applied(cap, named={"limit": constant(5)})) == "5 * (2 / (1 + np.exp(-2 * x / 5)) - 1)"
    assert print_numpy(applied(cap, [Y, constant(5)])) == "5 * (2 / (1 + np.exp(-2 * y / 5)) - 1)"


# --- simplification ---


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        (compute("*", X, constant(1)), "x"),
        (compute("+", constant(0), X), "x"),
        (compute("-", constant(0), X), "-x"),
        (compute("^", X, constant(1)), "x"),
        (compute("^", X, constant(0)), "1"),
        (compute("neg", compute("neg", X)), "x"),
        (compute("-", X, compute("neg", Y)), "x + y"),
        (compute("*", compute("neg", X), compute("neg", Y)), "x * y"),
        (compute("/", X, compute("neg", Y)), "-(x / y)"),
        (compute("*", constant(-1), X), "-x"),
        (compute("+", compute("*", constant(2), constant(0.25)), X), "0.5 + x"),
        (compute("if", compute("<", constant(2), constant(3)), X, Y), "x"),
        (compute("if", compute("<", X, Y), Y, Y), "y"),
        # NaN where x is infinite, so they stay
        (compute("*", X, constant(0)), "x * 0"),
        (compute("-", X, X), "x - x"),
        (compute("/", X, X), "x / x"),
        (compute("log", constant(-1)), "np.log(-1)"),
        (compute("*", X, Constant(Reference("one", "constant", None, number(1)))), "x * 1"),
    ],
)
def test_simplify(plain: Expression, expected: str) -> None:
    assert print_numpy(simplify(plain)) == expected


SPECIAL = {
    "x": np.repeat([0.0, -1.5, 2.0, math.inf, -math.inf, math.nan], 6),
    "y": np.tile([0.0, -1.5, 3.0, math.inf, -math.inf, math.nan], 6),
}


@given(expressions(jumps=True))
def test_simplifying_changes_no_value(e: Expression) -> None:
    """Infinities and NaN among them. Where a division by a zero turns on the sign of that zero, it may differ."""
    plain = simplify(e)
    assert simplify(plain) == plain
    before, after = value(e, SPECIAL), value(plain, SPECIAL)
    differs = ~np.isclose(before, after, rtol=1e-9, atol=1e-12, equal_nan=True)
    assert not np.any(differs & ~_sign_of_zero_matters(e))


def _sign_of_zero_matters(e: Expression) -> np.ndarray:
    """Where moving a zero to either side changes the value."""
    nudged = [{n: np.where(v == 0, sign * 0.0, v) for n, v in SPECIAL.items()} for sign in (1, -1)]
    a, b = (value(e, at) for at in nudged)
    return ~np.isclose(a, b, equal_nan=True) | np.zeros(36, bool)


@given(expressions(jumps=True))
def test_numpy_text_has_the_value(e: Expression) -> None:
    same(numpy_value(e), value(e, GRID))
