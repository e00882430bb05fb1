"""Scalar functions in PyTorch and in Triton's interpreter: values, derivatives as autograd has them, TorchScript."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from scalar_cases import CAP, SQUARED_RELU, TILT, WINDOW, X, Y, choices, expressions, function, steep
from scalar_values import GRID, moderate, value, values

from dlspec.compiler.scalars import Constant, Expression, applied
from dlspec.compiler.scalars.activations import ACTIVATIONS
from dlspec.compiler.scalars.differentiate import differentiate
from dlspec.compiler.scalars.expression import ONE, ZERO, Compute, compute, constant
from dlspec.compiler.scalars.print_torch import print_torch
from dlspec.compiler.scalars.print_triton import print_triton
from dlspec.compiler.scalars.source import function_source
from dlspec.compiler.semantics.number import number


def torch_value(e: Expression, **at: torch.Tensor) -> torch.Tensor:
    names = {"torch": torch, "F": F, "math": math, **at}
    nothing = torch.stack([0 * tensor for tensor in at.values()]).sum(0)  # for shape, dtype and the graph
    return eval(print_torch(e, at.keys()), names) + nothing  # noqa: S307


def autograd(e: Expression, name: str, at: dict[str, np.ndarray]) -> np.ndarray:
    inputs = {n: torch.tensor(v, requires_grad=True) for n, v in at.items()}
    result = torch_value(e, **inputs)
    (gradient,) = torch.autograd.grad(result.sum(), [inputs[name]])
    return gradient.numpy()


def ours(e: Expression, name: str, at: dict[str, np.ndarray]) -> np.ndarray:
    return torch_value(differentiate(e, name), **{n: torch.tensor(v) for n, v in at.items()}).numpy()


@given(expressions(jumps=True))
def test_torch_text_has_the_value(e: Expression) -> None:
    fits = moderate(e, GRID)
    found = torch_value(e, **{n: torch.tensor(v[fits]) for n, v in GRID.items()})
    np.testing.assert_allclose(found, np.broadcast_to(value(e, GRID), fits.shape)[fits], rtol=1e-9, atol=1e-11)


@given(expressions(jumps=True))
def test_derivatives_are_those_of_autograd(e: Expression) -> None:
    """Kinks and ties among them."""
    fits = moderate(e, GRID)
    at = {n: v[fits] for n, v in GRID.items()}
    for name in ("x", "y"):
        theirs = autograd(e, name, at)
        known = np.isfinite(theirs) & (np.abs(theirs) < 1e6)
        np.testing.assert_allclose(ours(e, name, at)[known], theirs[known], rtol=1e-6, atol=1e-7)


@given(steep())
def test_what_is_cut_has_no_slope_however_steep_the_rest_is(e: Expression) -> None:
    """As above, also where parts are infinite: the infinite slope of a root at 0 does not come through a cut."""
    fits = np.ones(GRID["x"].shape, bool)
    for part in values(e, GRID):
        size = np.abs(np.asarray(part, float))
        fits &= (size == 0) | ~np.isfinite(part) | ((size >= 1e-6) & (size <= 1e3))
    at = {n: v[fits] for n, v in GRID.items()}
    for name in ("x", "y"):
        theirs = autograd(e, name, at)
        known = np.isfinite(theirs) & (np.abs(theirs) < 1e6)
        np.testing.assert_allclose(ours(e, name, at)[known], theirs[known], rtol=1e-6, atol=1e-7)


ONE_NUMBER = ["sqrt", "exp", "log", "abs", "sin", "cos", "floor", "ceil", "erf", *sorted(ACTIVATIONS - {"leaky_relu"})]


@pytest.mark.parametrize("operator", ONE_NUMBER)
def test_functions_of_one_number_at_kinks(operator: str) -> None:
    x = {"x": np.array([-20, -3.5, -3, -1, -1e-3, 0, 1e-3, 0.5, 1, 3, 3.5, 20.0, math.nan])}
    e = compute(operator, X)
    np.testing.assert_allclose(torch_value(e, x=torch.tensor(x["x"])), value(e, x), rtol=1e-8, atol=1e-12)
    theirs, mine = autograd(e, "x", x), ours(e, "x", x)
    np.testing.assert_allclose(mine[:-1], theirs[:-1], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("e", "at", "slopes"),
    [
        (compute("max", X, ZERO), (0.0, 1.0), (1, 0)),  # clamp
        (compute("min", constant(6), X), (6.0, 1.0), (1, 0)),
        (compute("min", compute("max", X, ZERO), constant(6)), (6.0, 1.0), (1, 0)),
        (compute("max", X, Y), (2.0, 2.0), (0.5, 0.5)),  # maximum
        (compute("min", X, Y), (2.0, 2.0), (0.5, 0.5)),
        (compute("max", X, X), (2.0, 2.0), (1, 0)),
        (compute("relu", X), (0.0, 0.0), (0, 0)),
        (compute("abs", X), (0.0, 0.0), (0, 0)),
        (compute("^", X, ZERO), (0.0, 0.0), (0, 0)),
        (compute("^", X, Y), (0.0, 2.0), (0, 0)),
        (compute("^", X, Y), (0.0, 0.0), (0, 0)),
        (compute("^", ZERO, X), (2.0, 0.0), (0, 0)),
        (compute("^", ZERO, X), (-2.0, 0.0), (-math.inf, 0)),
        (compute("^", constant(-2), X), (3.0, 0.0), (math.nan, 0)),
        (compute("%", X, Y), (7.0, 2.0), (1, -3)),
        (compute("//", X, Y), (7.0, 2.0), (0, 0)),
        (compute("leaky_relu", X, Y), (-3.0, 0.1), (0.1, -3)),
    ],
)
def test_conventions(e: Expression, at: tuple[float, float], slopes: tuple[float, float]) -> None:
    point = {"x": np.array([at[0]]), "y": np.array([at[1]])}
    for name, slope in zip("xy", slopes, strict=True):
        np.testing.assert_equal(ours(e, name, point), [slope])
        if name == "x":
            np.testing.assert_equal(autograd(e, name, point), [slope])


STEEP = [
    "f(x) = max(x, 0) ^ 0.5",
    "f(x) = max(x, 0) ^ (1/3)",
    "f(x) = max(x, 0) ^ 0.9",
    "f(x) = sqrt(max(x, 0))",
    "f(x) = exp(-1 / max(x, 0))",
    "f(x) = max(x, 0) / max(x, 0)",
    "f(x) = sqrt(x if x > 0.5 else 2 * x if x > 0 else 0)",
    "f(x) = log(relu(x) + max(2 * x, 0)) + sqrt(hardswish(2 * x))",
    "f(x, a = 3) = a * max(x, 0) ^ 0.5",
]


@pytest.mark.parametrize("line", STEEP)
def test_no_nan_comes_out_of_a_cut(line: str) -> None:
    e = applied(function(line))
    at = {"x": np.array([-5, -2, -1.5, 0.25, 1, 4])}
    theirs = autograd(e, "x", at)
    assert np.isfinite(theirs).all()
    np.testing.assert_allclose(ours(e, "x", at), theirs, rtol=1e-12)


@pytest.mark.parametrize(
    ("line", "slope"),
    [
        ("f(x) = max(x, 0) ^ 2", "tl.where(x >= 0.0, 2.0 * tl.maximum(x, 0.0), 0.0)"),
        ("f(x) = -log(max(x, 0))", "tl.where(x >= 0.0, -(1.0 / tl.maximum(x, 0.0)), 0.0)"),
        ("f(x, y) = exp(max(x, y))", "tl.where(x >= y, tl.where(x == y, 0.5, 1.0) * tl.exp(tl.maximum(x, y)), 0.0)"),
        ("f(x, y) = y * abs(x)", "y * tl.where(x > 0.0, 1.0, tl.where(x < 0.0, -1.0, 0.0))"),
    ],
)
def test_a_choice_stands_around_what_it_chooses(line: str, slope: str) -> None:
    assert print_triton(differentiate(applied(function(line)), "x")) == slope


UNTAKEN = [
    ("f(x) = sqrt(x) if x > 0 else 0", "torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1)), 0)"),
    ("f(x) = x if x > 0 else exp(x) - 1", "torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - 1)"),
    ("f(x) = exp(-2 * x) if 1 <= x else x", "torch.where(1 <= x, torch.exp(-2 * x.clamp(min=1)), x)"),
    ("f(x) = 1 if x == 0 else sin(x) / x", "torch.where(x == 0, 1, torch.sin(x) / torch.where(x == 0, 1, x))"),
    ("f(x) = log(1 + exp(x)) if x < 20 else x", "torch.where(x < 20, torch.log(1 + torch.exp(x.clamp(max=20))), x)"),
    ("f(x) = 1 / x if abs(x) > 1 else x", "torch.where(torch.abs(x) > 1, 1 / torch.where(torch.abs(x) > 1, x, 1), x)"),
    ("f(x) = x ^ -0.5 if x > 1 else x", "torch.where(x > 1, torch.where(x > 1, x, 1) ** -0.5, x)"),
    ("f(x, a = 3) = 2 ^ x if x < a else a", "torch.where(x < 3, 2 ** x.clamp(max=3), 3)"),
    ("g(x) = exp(x) - 1\nf(x) = x if x > 0 else g(x)", "torch.where(x > 0, x, torch.exp(x.clamp(max=0)) - 1)"),
    (
        "f(x) = x if x > 0 else (exp(x) - 1 if x > -5 else -1)",
        "torch.where(x > 0, x, torch.where(x > -5, torch.exp(x.clamp(max=0)) - 1, -1))",
    ),
    # What is a number everywhere stays as it is.
    ("f(x) = x ^ 3 if x > 1 else x", "torch.where(x > 1, x**3, x)"),
    ("f(x) = exp(-x * x) if x > 0 else 1", "torch.where(x > 0, torch.exp(-x * x), 1)"),
    ("f(x) = exp(x) if x > 0 else x", "torch.where(x > 0, torch.exp(x), x)"),
    ("f(x) = x / (1 + abs(x)) if x > 0 else x", "torch.where(x > 0, x / (1 + torch.abs(x)), x)"),
    ("g(x) = x * x\nf(x) = x if x > 0 else g(x)", "torch.where(x > 0, x, g(x))"),
]


@pytest.mark.parametrize(("lines", "text"), UNTAKEN)
def test_a_side_that_is_not_taken_is_kept_harmless(lines: str, text: str) -> None:
    """Autograd multiplies its slope with 0, which were no number where that is infinite."""
    f = function(lines)
    assert print_torch(applied(f) if "a = 3" in lines else f.value, {"x"}) == text
    at = {"x": np.array([-1e4, -100, -3, -0.5, 0, 0.5, 2, 25, 100, 1e4])}
    theirs = autograd(applied(f), "x", at)
    assert not np.isnan(theirs).any()
    np.testing.assert_allclose(theirs, ours(applied(f), "x", at), rtol=1e-12)


@given(choices())
def test_a_choice_has_the_slope_of_the_side_that_is_taken(e: Compute) -> None:
    """Whatever the other one is like there."""
    condition, *sides = e.operands
    steps = np.array([-1e3, -90, -20, -2, -1, -0.5, 0, 0.5, 1, 2, 20, 90, 1e3])
    grid = {"x": np.repeat(steps, len(steps)), "y": np.tile(steps, len(steps))}
    truth = np.broadcast_to(value(condition, grid), grid["x"].shape)
    for side, taken in zip(sides, (truth, ~truth), strict=True):
        at = {n: v[taken & moderate(side, grid)] for n, v in grid.items()}
        for name in ("x", "y"):
            alone, within = autograd(side, name, at), autograd(e, name, at)
            known = np.isfinite(alone) & (np.abs(alone) < 1e6)
            np.testing.assert_allclose(within[known], alone[known], rtol=1e-12)


def test_derivatives_of_scores() -> None:
    tilt, window = function(TILT), function(WINDOW)
    assert differentiate(applied(tilt), "s") == ONE
    assert print_torch(differentiate(applied(tilt), "slope"), {"s", "q", "k", "slope"}) == (
        "torch.where(q > k, -torch.abs(q - k), 0)"
    )
    assert print_torch(differentiate(applied(window), "s"), {"s", "q", "k"}) == (
        "((q >= k) & (q - k < 64)).to(q.dtype)"
    )


# --- as they stand in an emitted module ---


def script(source: str, folder: Path, name: str) -> Any:
    head = "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor\n\n\n"
    path = folder / f"emitted_{name}.py"
    path.write_text(head + source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


LINES = [
    SQUARED_RELU,
    CAP,
    "f(x) = 0.1 if x > 0 else 5%",
    "f(x) = 1 if x > 0 else 0",
    "f(x) = x // 2 + 7 // x + 7 % x",
    "f(x) = 3 + 0 * x",
    "f(x) = x ^ 2 + 2 ^ x + abs(x) ^ 0.5",
    "f(x) = gelu(x, approximate = tanh) + leaky_relu(x, 0.2) + mish(x) + min(max(x, -1), 1)",
    "f(x, a = 2) = x * exp(a) * max(a, 0) * (1 if a > 0 else x)",
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("line", LINES)
def test_emitted_functions_keep_dtype_and_can_be_scripted(line: str, dtype: torch.dtype, tmp_path: Path) -> None:
    f = function(line)
    emitted = script(function_source(f), tmp_path, f.name)
    x = torch.tensor([[-2.0, -0.5, 0.5, 3.0]], dtype=dtype)
    y = emitted(x)
    rtol, atol = (0.02, 0.05) if dtype == torch.bfloat16 else (1e-5, 1e-6)
    assert (y.dtype, y.shape) == (dtype, x.shape)
    limits = {p.name: torch.tensor(float(p.default.value)) for p in f.parameters if p.default}  # type: ignore[arg-type]
    expected = value(applied(f), {"x": x.double().numpy(), **{n: t.numpy() for n, t in limits.items()}})
    np.testing.assert_allclose(y.double(), expected, rtol=rtol, atol=atol)
    torch.testing.assert_close(torch.jit.script(emitted)(x), y)


def test_a_score_broadcasts(tmp_path: Path) -> None:
    f = function(TILT)
    tilt = script(function_source(f, tensors={p.name for p in f.parameters}), tmp_path, "tilt")
    s, slope = torch.randn(2, 3, 5, 7), torch.rand(3, 1, 1)
    q, k, h = torch.arange(5.0)[:, None], torch.arange(7.0), torch.arange(3.0)[:, None, None]
    expected = torch.where(q > k, s - slope * (q - k).abs(), s)
    torch.testing.assert_close(tilt(s, q, k, h, slope), expected)


# --- Triton ---


def triton_source(es: list[Expression]) -> str:
    """A kernel that works out every expression over x and y."""
    body = "\n".join(f"    tl.store(out + {row} * n + i, {print_triton(e)} + 0.0 * x)" for row, e in enumerate(es))
    return (
        "import triton\nimport triton.language as tl\n\n\n@triton.jit\n"
        "def kernel(xs, ys, out, n: tl.constexpr):\n    i = tl.arange(0, n)\n"
        f"    x = tl.load(xs + i)\n    y = tl.load(ys + i)\n{body}\n"
    )


_INTERPRETED = """
import numpy as np
import torch
from kernels import kernel

x, y = (torch.from_numpy(v) for v in np.load("inputs.npy"))
out = torch.empty({rows}, len(x))
kernel[(1,)](x, y, out, len(x))
np.save("out.npy", out.numpy())
"""


def triton_values(es: list[Expression], at: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    """The value of each expression by Triton's interpreter, in float32.

    In a process of its own: where triton was loaded for a GPU it does not interpret.
    """
    pytest.importorskip("triton")
    (folder / "kernels.py").write_text(triton_source(es), encoding="utf-8")
    inputs = np.ones((2, 256), np.float32)
    inputs[:, : len(at["x"])] = at["x"], at["y"]
    np.save(folder / "inputs.npy", inputs)
    command = [sys.executable, "-W", "ignore", "-c", _INTERPRETED.format(rows=len(es))]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "out.npy")[:, : len(at["x"])]


def operations() -> list[Expression]:
    """Every operator and some functions, then their derivatives."""
    plain = [compute(operator, X) for operator in ONE_NUMBER]
    plain += [compute(sign, X, Y) for sign in ("+", "-", "*", "/", "//", "%", "^", "max", "min")]
    plain += [compute("^", X, constant(n)) for n in (-3, -1, 0.5, 1.5, 2, 3, 4, 5, 6, 7)]
    plain += [compute("leaky_relu", X, constant(0.2)), compute("neg", compute("^", X, constant(2)))]
    lines = [
        SQUARED_RELU,
        CAP,
        "f(x, y) = x if (x > y) * (x < 2) + (y == 0) else -y",
        "f(x) = 1 if x > 0 else -1",
        *STEEP,
    ]
    plain += [applied(function(line)) for line in lines]
    return [*plain, *(differentiate(e, "x") for e in plain)]


def test_triton_has_the_values_and_slopes(tmp_path: Path) -> None:
    es = operations()
    # Quotients that are whole are so in float32 too.
    grid = {n: np.where(v == 0.1, 0.25, np.where(v == 3.7, 3.75, v)) for n, v in GRID.items()}
    found = triton_values(es, grid, tmp_path)
    for e, row in zip(es, found, strict=True):
        expected = np.broadcast_to(value(e, grid), row.shape)
        known = np.isfinite(expected)
        np.testing.assert_allclose(row[known], expected[known], rtol=2e-5, atol=2e-6, err_msg=print_triton(e))
        assert not np.isfinite(row[~known]).any(), print_triton(e)


def test_triton_keeps_the_digits_of_what_is_small(tmp_path: Path) -> None:
    """What follows may divide by it, or take its logarithm."""
    x = np.array([-80, -50, -20, -10, -5, -4.001, -4, -3, 0, 3, 19, 21, 50, 1e4], np.float32)
    es: list[Expression] = [compute("softplus", X), compute("mish", X)]
    softplus, mish = triton_values(es, {"x": x, "y": x}, tmp_path)
    wanted = np.logaddexp(0, x.astype(np.float64))
    np.testing.assert_allclose(softplus, wanted, rtol=1e-5, atol=0)
    np.testing.assert_allclose(mish, x * np.tanh(wanted), rtol=1e-5, atol=0)


@pytest.mark.slow
def test_triton_compiles_for_a_gpu(tmp_path: Path) -> None:
    """Its compiler has stricter types than its interpreter. It needs no GPU."""
    pytest.importorskip("triton")
    (tmp_path / "kernels.py").write_text(triton_source(operations()), encoding="utf-8")
    program = """
from kernels import kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

signature = {"xs": "*fp32", "ys": "*fp32", "out": "*fp32", "n": "constexpr"}
built = compile(ASTSource(kernel, signature, constexprs={"n": 128}), target=GPUTarget("cuda", 90, 32))
assert "cubin" in built.asm
"""
    # A process of its own: once the interpreter has run, the compiler does not.
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_constants_of_the_file_keep_their_names_in_kernels() -> None:
    f = function("width = 8\nf(x, a) = a * x / width")
    e = applied(f, named={"a": Constant(number(3))})
    assert print_triton(e, number=lambda n: getattr(n, "name", "3").upper()) == "3.0 * x / WIDTH"
