"""Bounds of open dims, `2 <= T <= 1024`: what they say, what is proved with them, and what layers need themselves."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dlspec.compiler.ir.graph import Graph
from dlspec.compiler.ir.least import least_sizes
from dlspec.compiler.ir.text import graph_text
from dlspec.compiler.pipeline import analyse
from dlspec.compiler.semantics.bounds import at_bounds, least, limit
from dlspec.compiler.semantics.number import Number, Operation, Reference, number
from dlspec.compiler.training.settings import model_settings
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch


def graph_of(text: str) -> Graph:
    found = analyse(Source("n.dlspec", f"dlspec 1\n{text}\n"))
    assert [d.message for d in found.diagnostics] == []
    (graph,) = found.graphs.values()
    return graph


def errors_in(text: str) -> list[str]:
    return [d.message for d in analyse(Source("n.dlspec", f"dlspec 1\n{text}\n")).diagnostics]


def bounds(graph: Graph) -> tuple[object, object]:
    return (
        {name: size.value for name, size in graph.least.items()},
        {name: size.value for name, size in graph.limits.items()},
    )


@pytest.mark.parametrize(
    ("dims", "least", "most"),
    [
        ("T", {}, {}),
        ("T <= 10", {}, {"T": 10}),
        ("T < 10", {}, {"T": 9}),
        ("T >= 2", {"T": 2}, {}),
        ("T > 2", {"T": 3}, {}),
        ("2 <= T", {"T": 2}, {}),
        ("10 > T", {}, {"T": 9}),
        ("2 <= T <= 10", {"T": 2}, {"T": 10}),
        ("10 >= T > 1", {"T": 2}, {"T": 10}),
        ("low <= T < 2 * low", {"T": 4}, {"T": 7}),
        ("4 <= T <= 4", {"T": 4}, {"T": 4}),
        ("16 * T <= 40", {}, {"T": 2}),
        ("17 <= 16 * T", {"T": 2}, {}),
    ],
)
def test_what_an_input_says(dims: str, least: dict[str, int], most: dict[str, int]) -> None:
    flowing = "16 * T" if "16" in dims else "T"
    unused = "low = 4\n" if "low" in dims else ""
    assert bounds(graph_of(f"{unused}model N: (x: [B, {dims}, 8]) -> (y: [B, {flowing}, 8]) {{ relu }}")) == (
        least,
        most,
    )


def test_the_bounds_of_several_inputs_hold_together() -> None:
    ports = "a: [B, T >= 2], b: [B, T <= 10], c: [B, 4 <= T <= 12]"
    assert bounds(graph_of(f"model N: ({ports}) -> (y: [B, T]) {{ a + b + c }}")) == ({"T": 4}, {"T": 10})


T = Reference("T", "open", None, None, number(3), number(10))
S = Reference("S", "open")


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        (T, 3, 10),
        (S, 1, None),
        (number(7), 7, 7),
        (Operation("+", (T, S)), 4, None),
        (Operation("-", (T, number(2))), 1, 8),
        (Operation("-", (number(12), T)), 2, 9),
        (Operation("-", (T, S)), None, 9),
        (Operation("*", (T, number(4))), 12, 40),
        (Operation("*", (Operation("-", (T, number(4))), S)), None, None),
        (Operation("//", (T, number(2))), 1, 5),
        (Operation("^", (T, number(2))), 9, 100),
        (Operation("%", (T, number(4))), 0, 4),
        (Operation("max", (T, number(5))), 5, 10),
        (Operation("round_up", (T, number(8))), 8, 16),
        (Operation("neg", (T,)), -10, -3),
    ],
)
def test_how_far_an_expression_reaches(n: Number, low: int | None, high: int | None) -> None:
    assert (least(n), limit(n)) == (low, high)
    for size in range(3, 11):
        assert n.value is not None or low is None or at_least(n, size) >= low
        assert n.value is not None or high is None or at_least(n, size) <= high


def at_least(n: Number, size: int) -> Fraction:
    known = Reference("T", "open", None, None, number(size))
    other = Reference("S", "open", None, None, number(1))

    def put(part: Number) -> Number:
        match part:
            case Operation(operator, operands):
                return Operation(operator, tuple(map(put, operands)))
            case Reference(name=name):
                return known if name == "T" else other
        return part

    value = at_bounds(put(n), "least")
    assert isinstance(value, Fraction)
    return value


def test_an_expression_is_known_where_all_its_dims_are_bounded() -> None:
    assert at_bounds(Operation("-", (number(12), T)), "least") == 9
    assert at_bounds(Operation("-", (number(12), T)), "most") == 2
    assert at_bounds(Operation("+", (T, S)), "least") is None


@pytest.mark.parametrize(
    ("comes", "wanted", "told"),
    [
        ("T >= 4", "L >= 4", None),
        ("T >= 5", "L > 4", None),
        ("4 <= T <= 8", "2 <= L <= 8", None),
        ("12", "L >= 4", None),
        ("16 * T", "L >= 16", None),
        ("T", "L >= 1", None),
        ("T", "L >= 2", "`P` takes `L >= 2`, and T may be 1"),
        ("T >= 3", "L > 3", "`P` takes `L > 3`, and T may be 3"),
        ("3", "L >= 4", "`P` takes `L >= 4`, and 3 comes in"),
        ("16 * T", "L >= 32", "`P` takes `L >= 32`, and 16 * T may be 16"),
        ("T >= 2", "2 <= L <= 8", "`P` takes `2 <= L <= 8`, and T may be any length"),
        ("8", "16 * L >= 16", "`P` takes a multiple of 16 here, and 8 comes in"),
    ],
)
def test_a_block_holds_its_bounds_against_what_comes_in(comes: str, wanted: str, told: str | None) -> None:
    block = f"block P: [B, C, {wanted}] -> [B, C] {{ mean(over = [2]) }}"
    found = errors_in(f"{block}\nmodel N: (x: [B, 8, {comes}]) -> (y: [B, 8]) {{ P }}")
    assert found == ([] if told is None else [told])


def test_a_block_may_bound_what_a_block_around_it_hands_on() -> None:
    inner = "block Inner: [B, C, T >= 4] -> [B, C] { mean(over = [T]) }"
    outer = "block Outer: [B, C, T >= {n}] -> [B, C] {{ Inner }}"
    model = "model N: (x: [B, 8, T >= 5]) -> (y: [B, 8]) { Outer }"
    assert errors_in(f"{inner}\n{outer.format(n=4)}\n{model}") == []
    assert errors_in(f"{inner}\n{outer.format(n=2)}\n{model}") == []  # what comes in is known, not what might
    assert errors_in(f"{inner}\n{outer.format(n=6)}\n{model}") == ["`Outer` takes `T >= 6`, and T may be 5"]


@pytest.mark.parametrize(
    ("dim", "stages", "told"),
    [
        ("T", "Conv1d(8, 3)", False),
        ("T >= 3", "Conv1d(8, 3)", False),
        ("T >= 2", "Conv1d(8, 3)", True),
        ("T >= 1", "Conv1d(8, 3, pad = same)", False),
        ("T >= 4", "Conv1d(8, 3) -> Conv1d(8, 3)", True),
        ("T >= 5", "Conv1d(8, 3) -> Conv1d(8, 3)", False),
        ("T >= 3", "max_pool(4)", True),
        ("T >= 4", "max_pool(4)", False),
        ("T <= 2", "Conv1d(8, 3)", True),
        ("4 * T >= 4", "Conv1d(8, 5)", True),
        ("4 * T >= 5", "Conv1d(8, 5)", False),
    ],
)
def test_a_window_fits_into_the_shortest_sequence(dim: str, stages: str, told: bool) -> None:
    found = errors_in(f"model N: (x: [B, 8, {dim}]) -> (y: [B, 8]) {{ {stages} -> mean(over = [2]) }}")
    assert [message.startswith("the window of") for message in found] == ([True] if told else [])


@pytest.mark.parametrize(
    ("dim", "stages", "least"),
    [
        ("T", "Linear(4)", {}),
        ("T", "Conv1d(8, 3)", {"T": 3}),
        ("T >= 7", "Conv1d(8, 3)", {"T": 7}),
        ("T", "Conv1d(8, 3, dilation = 4)", {"T": 9}),
        ("T", "Conv1d(8, 3) -> max_pool(2)", {"T": 4}),
        ("T", "repeat(3) { conv: Conv1d(8, 3) }", {"T": 7}),
        ("T", "share(2) { Conv1d(8, 3, pad = same) -> max_pool(1) }", {}),
        ("T", "{ max_pool(2) -> max_pool(2) }", {"T": 4}),
        ("2 * T", "Conv1d(8, 5)", {"T": 3}),
    ],
)
def test_the_least_size_is_worked_out_where_nobody_says_it(dim: str, stages: str, least: dict[str, int]) -> None:
    axis = "" if "Linear" in stages else " -> mean(over = [2])"
    shape = ("[B, T, 8]", "[B, T, 4]") if "Linear" in stages else (f"[B, 8, {dim}]", "[B, 8]")
    graph = graph_of(f"model N: (x: {shape[0]}) -> (y: {shape[1]}) {{ {stages}{axis} }}")
    assert least_sizes(graph) == least
    assert model_settings(graph, 0)["least"] == least


def test_the_stages_of_the_compiler_show_bounds() -> None:
    ports = "(x: [B, 2 <= T <= 2 * width, 8], z: [B, S > 3, 8]) -> (y: [B, 8], a: [B, 8])"
    body = "{\n  x -> mean(over = [1]) as y\n  z -> mean(over = [1]) as a\n}"
    lines = graph_text(graph_of(f"width = 8\nmodel N: {ports} {body}")).splitlines()
    assert lines[1:3] == ["  2 <= T <= 2 * width", "  4 <= S"]
