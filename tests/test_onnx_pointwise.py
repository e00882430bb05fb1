"""Pointwise operators and the ways units are run, in ONNX Runtime against PyTorch or plain arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx_graphs import SPAN, Page, layer

from dlspec.compiler.backends.onnx.dims import DimNames
from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.onnx.verify import verify_graph
from dlspec.compiler.ir.graph import (
    Copies,
    Graph,
    Node,
    Pointwise,
    Region,
    Residual,
    Run,
    RunCopies,
    Unit,
    UnitModule,
    Value,
)
from dlspec.compiler.semantics.arithmetic import COMPARISONS
from dlspec.compiler.semantics.number import Operation, Reference, number
from dlspec.compiler.semantics.tensor import DType, Tensor, broadcast

B, T = Reference("B", "open"), Reference("T", "open")
PYTHON: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "//": operator.floordiv,
    "%": operator.mod,
    "neg": operator.neg,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def run(graph: Graph, weights: dict[str, np.ndarray], folder: Path, **inputs: np.ndarray) -> list[np.ndarray]:
    save(build(graph, weights, metadata={}), folder / "m.onnx")
    assert verify_graph(folder / "m.onnx") == []
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(None, inputs)]


def one_operator(op: Pointwise, inputs: dict[str, Tensor], type: Tensor) -> Graph:
    values = tuple(Value(t, name) for name, t in inputs.items())
    y = Value(type)
    return Graph(Unit("model", "M", values, (y,), (Node(op, values, (y,), SPAN),), (), SPAN), (), outputs=("y",))


def result_dtype(symbol: str, *dtypes: DType) -> DType:
    if symbol in COMPARISONS:
        return "bool"
    return "float" if "float" in dtypes or symbol == "/" else "int"


def entries(dtype: DType, size: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers of both signs, equal ones among them, none of them 0."""
    random = np.random.default_rng(seed)
    whole = random.integers(1, 6, size) * random.choice([-1, 1], size)
    if dtype == "bool":
        return whole > 0
    return whole if dtype == "int" else (whole * random.choice([0.5, 0.7, 1], size)).astype(np.float32)


def compare(found: np.ndarray, expected: torch.Tensor) -> None:
    theirs = expected.numpy()
    assert (found.dtype, found.shape) == (theirs.dtype, theirs.shape)
    if theirs.dtype == np.float32:
        np.testing.assert_allclose(found, theirs, rtol=1e-6, atol=0)
    else:
        np.testing.assert_array_equal(found, theirs)


@pytest.mark.parametrize("right", ["float", "int"])
@pytest.mark.parametrize("left", ["float", "int"])
@pytest.mark.parametrize("symbol", [symbol for symbol in PYTHON if symbol != "neg"])
def test_two_flowing_sides(symbol: str, left: DType, right: DType, tmp_path: Path) -> None:
    """The right side is one axis short and is spread over the batch."""
    a, b = entries(left, (3, 40), 1), entries(right, (40,), 2)
    if symbol == "^":
        a, b = np.abs(a), np.abs(b)
    inputs = {"a": Tensor(left, (B, number(40))), "b": Tensor(right, (number(40),))}
    type = Tensor(result_dtype(symbol, left, right), broadcast(*inputs.values()).dims)
    (found,) = run(one_operator(Pointwise(symbol), inputs, type), {}, tmp_path, a=a, b=b)
    compare(found, PYTHON[symbol](torch.from_numpy(a), torch.from_numpy(b)))


@pytest.mark.parametrize("dtype", ["float", "int"])
@pytest.mark.parametrize("symbol", [symbol for symbol in PYTHON if symbol != "neg"])
def test_a_number_on_one_side(symbol: str, dtype: DType, tmp_path: Path) -> None:
    x = entries(dtype, (3, 5), 1)
    x = np.abs(x) if symbol == "^" else x
    for n in (2, -3, 0.3):
        if symbol == "^" and n == -3:
            continue  # PyTorch refuses a negative power of whole numbers
        for left in (False, True):
            if left and symbol == "^" and n == 0.3:
                continue
            type = Tensor(result_dtype(symbol, dtype, "int" if n == int(n) else "float"), (B, T))
            op = Pointwise(symbol, number(n), None) if left else Pointwise(symbol, None, number(n))
            (found,) = run(one_operator(op, {"x": Tensor(dtype, (B, T))}, type), {}, tmp_path, x=x)
            value = torch.from_numpy(x)
            compare(found, PYTHON[symbol](n, value) if left else PYTHON[symbol](value, n))


def test_the_remainder_and_quotient_of_floats_on_both_sides_of_zero(tmp_path: Path) -> None:
    """Where rounding matters: whole multiples, and quotients that are whole but for their last digit."""
    a = np.array([7.5, -7.5, 6, -6, 0.3, 0.9, 1e6, -1e-3, 0, 2.1], np.float32)
    b = np.array([2, 2, -3, 3, 0.1, 0.3, 0.1, 5, 4, -0.7], np.float32)
    vector = Tensor("float", (B,))
    for symbol in ("//", "%"):
        (found,) = run(one_operator(Pointwise(symbol), {"a": vector, "b": vector}, vector), {}, tmp_path, a=a, b=b)
        compare(found, PYTHON[symbol](torch.from_numpy(a), torch.from_numpy(b)))


@pytest.mark.parametrize("dtype", ["float", "int"])
def test_negation(dtype: DType, tmp_path: Path) -> None:
    x, type = entries(dtype, (3, 4), 0), Tensor(dtype, (B, T))
    (found,) = run(one_operator(Pointwise("neg"), {"x": type}, type), {}, tmp_path, x=x)
    compare(found, -torch.from_numpy(x))


@pytest.mark.parametrize("symbol", ["==", "!=", "<", ">=", "*"])
def test_truth_values_are_compared_and_multiplied(symbol: str, tmp_path: Path) -> None:
    a, b = entries("bool", (20,), 1), entries("bool", (20,), 2)
    type = Tensor("bool", (B,))
    (found,) = run(one_operator(Pointwise(symbol), {"a": type, "b": type}, type), {}, tmp_path, a=a, b=b)
    compare(found, PYTHON[symbol](torch.from_numpy(a), torch.from_numpy(b)))


def test_a_mask_times_a_value(tmp_path: Path) -> None:
    a, b = entries("bool", (3, 4), 1), entries("float", (3, 4), 2)
    inputs = {"a": Tensor("bool", (B, T)), "b": Tensor("float", (B, T))}
    (found,) = run(one_operator(Pointwise("*"), inputs, inputs["b"]), {}, tmp_path, a=a, b=b)
    compare(found, torch.from_numpy(a) * torch.from_numpy(b))


# --- units ---


def linear_unit(kind: Any, x: Tensor, scale: float, captured: bool = False) -> Unit:
    """fc: Linear(4) -> identity * scale, plus the unit's second input where it has one."""
    inputs = tuple(Value(x) for _ in range(1 + captured))
    page = Page()
    y = page.apply(layer("Linear", features=number(4)), inputs[0], "fc")
    scaled = Value(y.type)
    page.nodes.append(Node(Pointwise("*", None, number(scale)), (y,), (scaled,), SPAN))
    end = page.add(scaled, inputs[1]) if captured else scaled
    return Unit(kind, "Part", inputs, (end,), tuple(page.nodes), tuple(page.modules), SPAN)


def fc(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, scale: float) -> np.ndarray:
    return (x @ weight.T + bias) * scale


def drawn(*keys: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {key: random.standard_normal((4, 4) if key.endswith("weight") else 4).astype(np.float32) for key in keys}


VECTORS = Tensor("float", (B, T, number(4)))


def test_a_unit_that_is_run_twice_has_its_weights_once(tmp_path: Path) -> None:
    x, middle, y = Value(VECTORS, "x"), Value(VECTORS), Value(VECTORS)
    part = UnitModule("part", linear_unit("block", VECTORS, 0.5), SPAN)
    nodes = (Node(Run(), (x,), (middle,), SPAN, "part"), Node(Run(), (middle,), (y,), SPAN, "part"))
    graph = Graph(Unit("model", "M", (x,), (y,), nodes, (part,), SPAN), (), outputs=("y",))
    weights = drawn("part.fc.weight", "part.fc.bias")
    a = entries("float", (2, 3, 4), 0)
    (found,) = run(graph, weights, tmp_path, x=a)
    weight, bias = weights.values()
    expected = fc(weight, bias, fc(weight, bias, a, 0.5), 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    model = build(graph, weights, metadata={})
    assert {name for name in model.graph.initializers if not name.startswith("constant.")} == set(weights)
    assert [n.name for n in model.graph if n.op_type == "MatMul"] == ["part.fc.matmul", "part_2.fc.matmul"]


def test_copies_that_differ_take_what_is_around_them(tmp_path: Path) -> None:
    """Each copy gets the value before it, and the one that the repeat captured."""
    x, y = Value(VECTORS, "x"), Value(VECTORS)
    units = tuple(linear_unit("copy", VECTORS, scale, captured=True) for scale in (0.5, 2, -1))
    node = Node(RunCopies(), (x, x), (y,), SPAN, "parts")
    graph = Graph(
        Unit("model", "M", (x,), (y,), (node,), (Copies("parts", number(3), units, SPAN),), SPAN), (), outputs=("y",)
    )
    weights = drawn(*(f"parts.{i}.fc.{key}" for i in range(3) for key in ("weight", "bias")))
    a = entries("float", (2, 3, 4), 0)
    (found,) = run(graph, weights, tmp_path, x=a)
    expected = a
    for i, scale in enumerate((0.5, 2, -1)):
        expected = fc(weights[f"parts.{i}.fc.weight"], weights[f"parts.{i}.fc.bias"], expected, scale) + a
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_comes_after_a_residual(tmp_path: Path) -> None:
    """post(x + f(x))"""
    x, start, added, y = Value(VECTORS, "x"), Value(VECTORS), Value(VECTORS), Value(VECTORS)
    branch, behind = Page(), Page()
    h = branch.apply(layer("Linear", features=number(4)), start, "f")
    end = behind.apply(layer("LayerNorm"), added, "f_norm")
    op = Residual(Region(start, tuple(branch.nodes), h), Region(added, tuple(behind.nodes), end))
    modules = (*branch.modules, *behind.modules)
    unit = Unit("model", "M", (x,), (y,), (Node(op, (x,), (y,), SPAN),), modules, SPAN)
    weights = drawn("f.weight", "f.bias", "f_norm.bias") | {"f_norm.weight": np.array([1, 2, 0.5, -1], np.float32)}
    a = entries("float", (2, 3, 4), 0)
    (found,) = run(Graph(unit, (), outputs=("y",)), weights, tmp_path, x=a)
    w = {name: torch.from_numpy(weight) for name, weight in weights.items()}
    value = torch.from_numpy(a)
    value = value + torch.nn.functional.linear(value, w["f.weight"], w["f.bias"])
    expected = torch.nn.functional.layer_norm(value, (4,), w["f_norm.weight"], w["f_norm.bias"])
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_ports_have_their_names_whatever_else_has(tmp_path: Path) -> None:
    """An output that is an input, the same value twice, and modules called like the ports."""
    x = Value(VECTORS, "x")
    page = Page()
    h = page.apply(layer("Linear", features=number(4)), x, "y")
    y = page.apply(layer("relu"), h, None)
    unit = Unit("model", "M", (x,), (x, y, y, h), tuple(page.nodes), tuple(page.modules), SPAN)
    graph = Graph(unit, (), outputs=("same", "y", "relu", "x_2"))
    a = entries("float", (2, 3, 4), 0)
    found = run(graph, drawn("y.weight", "y.bias"), tmp_path, x=a)
    np.testing.assert_array_equal(found[0], a)
    np.testing.assert_array_equal(found[1], found[2])
    np.testing.assert_array_equal(found[1], np.maximum(found[3], 0))


def test_chosen_outputs_hold_what_they_need_and_no_more(tmp_path: Path) -> None:
    a, b = Value(VECTORS, "a"), Value(VECTORS, "b")
    page = Page()
    first = page.apply(layer("Linear", features=number(4)), a, "first")
    second = page.apply(layer("Linear", features=number(4)), b, "second")
    unit = Unit("model", "M", (a, b), (first, second), tuple(page.nodes), tuple(page.modules), SPAN)
    graph = Graph(unit, (), outputs=("one", "two"))
    weights = drawn("first.weight", "first.bias", "second.weight", "second.bias")
    model = build(graph, weights, metadata={}, outputs=["two"])
    assert [value.name for value in model.graph.inputs] == ["b"]
    assert [value.name for value in model.graph.outputs] == ["two"]
    assert set(model.graph.initializers) == {"second.weight", "second.bias"}
    save(model, tmp_path / "m.onnx")
    assert verify_graph(tmp_path / "m.onnx") == []


# --- dims ---


def test_dims_are_written_in_the_terms_of_the_model() -> None:
    """A block's names, parameters and constants do not exist in the file; equal dims have one text."""
    dims = DimNames()
    rows = Operation("*", (number(16), Reference("H", "open")))
    assert dims.dim(rows) == "16 * H"
    inside = Reference("h", "dim", "Block", rows)
    assert dims.dim(inside) == "16 * H"
    assert dims.dim(Operation("*", (Reference("H", "open"), Reference("size", "constant", target=number(16))))) == (
        "16 * H"
    )
    factor = Reference("factor", "parameter", "Block", number(2))
    assert dims.dim(Operation("+", (Operation("*", (factor, inside)), number(1)))) == "2 * (16 * H) + 1"
    assert dims.dim(Operation("/", (inside, number(16)))) == "16 * H / 16"
    assert dims.dim(Operation("*", (factor, number(4)))) == 8
