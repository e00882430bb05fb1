"""Scalar functions as nodes of an ONNX graph, in ONNX Runtime against their values in fp64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from hypothesis import given, settings
from scalar_cases import CAP, SQUARED_RELU, TILT, WINDOW, expressions, function
from scalar_values import GRID, moderate, value

from dlspec.compiler.backends.onnx.builder import OnnxBuilder
from dlspec.compiler.backends.onnx.model import IR_VERSION, OPSET
from dlspec.compiler.backends.onnx.parameters import Parameters
from dlspec.compiler.scalars import Expression, Variable, applied
from dlspec.compiler.scalars.activations import ACTIVATIONS
from dlspec.compiler.scalars.differentiate import differentiate
from dlspec.compiler.scalars.expression import compute, constant
from dlspec.compiler.scalars.onnx_nodes import onnx_nodes
from dlspec.compiler.semantics.number import number
from dlspec.compiler.semantics.tensor import Tensor

X, Y = Variable("x"), Variable("y")


def run(e: Expression, at: dict[str, np.ndarray], folder: Path) -> tuple[np.ndarray, ir.Model]:
    """The value of an expression whose parameters are inputs of a graph, each with its own shape."""
    g = OnnxBuilder(OPSET, Parameters({}, {}), {}, {*at, "result"})
    types = {name: Tensor("float", tuple(map(number, array.shape))) for name, array in at.items()}
    inputs = {name: (g.input(name, type), type) for name, type in types.items()}
    made, type = onnx_nodes(g, e, inputs, "net.f")
    g.output("result", made, type)
    model = ir.Model(g.graph, ir_version=IR_VERSION)
    ir.save(model, folder / "f.onnx")
    session = onnxruntime.InferenceSession(folder / "f.onnx", providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    found = np.asarray(session.run(None, {n: a.astype(np.float32) for n, a in at.items() if n in wanted})[0])
    assert type.dims == tuple(map(number, found.shape))
    return found, model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


ONE_NUMBER = ["neg", "sqrt", "exp", "log", "abs", "sin", "cos", "floor", "ceil", "erf"]


@pytest.mark.parametrize(
    "e",
    [
        *(compute(operator, X) for operator in [*ONE_NUMBER, *sorted(ACTIVATIONS - {"leaky_relu"})]),
        compute("leaky_relu", X, constant(0.2)),
        compute("leaky_relu", X, Y),
        *(compute(sign, X, Y) for sign in ("+", "-", "*", "/", "^", "max", "min")),
        *(compute(sign, X, constant(2)) for sign in ("//", "%", "^", "max", "/")),
        *(compute(sign, constant(2), X) for sign in ("//", "%", "^", "min", "/")),
        *(compute("if", compute(sign, X, Y), X, constant(5)) for sign in ("==", "!=", "<", "<=", ">", ">=")),
        compute("if", compute("and", compute(">", X, Y), compute("<", X, constant(2))), constant(1), Y),
    ],
    ids=str,
)
def test_every_operator(e: Expression, folder: Path) -> None:
    grid = {n: np.where(v == 0.1, 0.25, np.where(v == 3.7, 3.75, v)) for n, v in GRID.items()}
    found, _ = run(e, grid, folder)
    expected = value(e, grid)
    known = np.isfinite(expected)
    np.testing.assert_allclose(found[known], expected[known], rtol=2e-5, atol=2e-6)
    assert not np.isfinite(found[~known]).any()


@given(expressions(jumps=False))
@settings(max_examples=40)
def test_random_expressions(folder: Path, e: Expression) -> None:
    fits = moderate(e, GRID, limit=50)
    found, _ = run(e, dict(GRID), folder)
    expected = np.broadcast_to(value(e, GRID), fits.shape)
    np.testing.assert_allclose(np.broadcast_to(found, fits.shape)[fits], expected[fits], rtol=1e-3, atol=1e-3)


def test_nodes_are_called_after_the_place_and_written_once(folder: Path) -> None:
    e = applied(function(f"{SQUARED_RELU}\nf(x) = squared_relu(x) + exp(squared_relu(x))"))
    _, model = run(e, dict(GRID), folder)
    assert [node.name for node in model.graph] == ["net.f.max", "net.f.power", "net.f.exp", "net.f"]


def test_a_number_takes_the_shape_of_what_comes_in(folder: Path) -> None:
    found, _ = run(differentiate(X, "x"), {"x": np.zeros((2, 3))}, folder)
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_a_parameter_alone_is_itself(folder: Path) -> None:
    found, _ = run(X, {"x": np.ones((2, 3))}, folder)
    np.testing.assert_array_equal(found, np.ones((2, 3)))


@pytest.mark.parametrize("text", [TILT, WINDOW, CAP])
def test_scores_broadcast(text: str, folder: Path) -> None:
    e = applied(function(text))
    random = np.random.default_rng(0)
    at = {
        "s": random.normal(size=(2, 3, 5, 7)),
        "q": np.arange(5.0)[:, None],
        "k": np.arange(7.0),
        "slope": random.random((3, 1, 1)),
        "x": random.normal(size=4),
    }
    at = {n: at[n] for n in sorted(at) if n in {p.name for p in function(text).parameters}}
    found, _ = run(e, at, folder)
    np.testing.assert_allclose(found, value(e, at), rtol=1e-5, atol=1e-6)
