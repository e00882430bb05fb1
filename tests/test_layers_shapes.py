"""Functions that change shapes: emitted PyTorch and ONNX against what they are to compute."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_cases import Case, agrees_in_onnx, errors, run

from dlspec.compiler.layers.reshape import quotient
from dlspec.compiler.pipeline import analyse
from dlspec.compiler.semantics.number import Number, Reference, equal, number, product

# --- reshape ----------------------------------------------------------------------------------------------------

RESHAPES = [
    (Case("reshape([B, T, 3, 4])"), "x.reshape(B, T, 3, 4)"),
    (Case("reshape([B, T, 3, -1])"), "x.reshape(B, T, 3, -1)"),
    (Case("reshape([B, -1])"), "x.reshape(B, -1)"),
    (Case("reshape([-1, 12])"), "x.reshape(-1, 12)"),
    (Case("reshape([B * T, 12])"), "x.reshape(-1, 12)"),
    (Case("reshape([T, B, 12])"), "x.reshape(T, B, 12)"),
    (
        Case("reshape([B, dim / heads, T, heads])", constants="dim = 12\nheads = 4"),
        "x.reshape(B, self.factor, T, self.heads)",
    ),
    (Case("reshape([B, latent, 1, 1])", {"x": "[B, latent]"}, "latent = 6"), "x.reshape(-1, self.latent, 1, 1)"),
    (Case("reshape([B, 2 * H, -1])", {"x": "[B, 8 * H, 3]"}), "x.reshape(B, 2 * H, -1)"),
    (Case("reshape([B, 4 * H / 2, 6])", {"x": "[B, 4 * H, 3]"}), "x.reshape(B, 4 * H // 2, 6)"),
    (Case("reshape([2 * B, 3 * T, 2])"), "x.reshape(2 * B, 3 * T, 2)"),
    (Case("reshape([B * T, 2 * T, 6])", {"x": "[B, T, T, 12]"}), "x.reshape(B * T, 2 * T, 6)"),
    (Case("reshape([2 * B, H, H])", {"x": "[B, 2 * H, H]"}), "x.reshape(2 * B, H, H)"),
]


@pytest.mark.parametrize(("case", "text"), RESHAPES, ids=lambda value: str(value))
def test_reshape_keeps_the_entries_in_their_order(case: Case, text: str) -> None:
    y, (x,) = run(case)
    assert torch.equal(y, x.reshape(y.shape))
    assert f"return {text}\n" in case.compiled().model_code


def test_open_dims_are_read_off_the_inputs_once() -> None:
    case = Case("reshape([B, H, T, 4]) -> reshape([T, B, 4 * H])", {"x": "[B, T, 4 * H]"})
    code = case.compiled().model_code
    assert [line.strip() for line in code.splitlines() if ".shape[" in line] == [
        "B = x.shape[0]",
        "H = x.shape[2] // 4",
        "T = x.shape[1]",
    ]
    run(case)


def test_open_dims_inside_blocks_groups_and_repeats() -> None:
    constants = """
block Heads(n) : [B, L, D] -> [B, L, D] {
  reshape([B, L, n, D / n]) -> permute([0, 2, 1, 3]) -> reshape([B, L, D])
}"""
    group = "g: { reshape([B, T, 6, 2]) -> Linear(2) }"
    copies = "repeat(2) { reshape([T, B, 12]) -> Linear(12) -> reshape([B, T, 6, 2]) }"
    case = Case(f"{{ Heads(3) -> {group} -> {copies} }}", constants=constants)
    y, _ = run(case)
    assert y.shape == (3, 4, 6, 2)


def test_an_open_dim_that_nothing_here_has_is_told() -> None:
    line = "reshape([B, 1, 8]) -> g: { Linear(8) + normal([B, T, 8]) } -> identity + (t -> reshape([B, T, 1]))"
    found = analyse(Case(line, {"x": "[B, 8]", "t": "[B, T]"}).spec("[B, T, 8]")).diagnostics
    assert [(d.code, d.span.text) for d in found] == [("not-in-this-version", "normal([B, T, 8])")]
    assert "`normal` with `T`" in found[0].message


dims = st.lists(st.sampled_from(["B", "T", "2", "3", "4", "6", "12"]), min_size=1, max_size=4)


@given(before=dims, data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_left_is_worked_out(before: list[str], data: st.DataObject) -> None:
    """A quotient that is found is right whatever the open dims are; one that is certain to be whole is found."""
    names = {"B": Reference("B", "open"), "T": Reference("T", "open")}
    above: list[Number] = [names.get(dim) or number(int(dim)) for dim in before]
    below = data.draw(st.lists(st.sampled_from(above), max_size=3))
    found = quotient(above, below)
    if found is not None:
        assert equal(product([found, *below]), product(above) if above else number(1))
    else:
        assert len(below) > len({id(dim) for dim in below}) or len(set(map(id, above))) < len(above)


RESHAPE_FAULTS = [
    ("reshape([B, T, 5])", "[B, T, 12] holds B * T * 12 entries, and [B, T, 5] holds B * T * 5"),
    ("reshape([B, -1, 5])", "[B, T, 12] holds B * T * 12 entries, which do not divide into B * 5"),
    ("reshape([-1, T * T])", "[B, T, 12] holds B * T * 12 entries, which do not divide into (T * T)"),
]


@pytest.mark.parametrize(("line", "message"), RESHAPE_FAULTS)
def test_another_number_of_entries_is_refused(line: str, message: str) -> None:
    ((code, found, _, help),) = errors(Case(line))
    assert (code, found) == ("shape-mismatch", message)
    assert "-1" in help


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("reshape([B, -1, -1])", "wrong-value", "two of them cannot be worked out"),
        ("reshape([B, 0])", "wrong-value", "whole numbers of at least 1"),
        ("reshape([B, 0.5])", "wrong-value", "whole numbers of at least 1"),
        ("reshape([])", "shape-mismatch", "holds 1"),
        ("reshape([Q, 12])", "unknown-layer", "`Q`"),
        ("reshape", "missing-option", "`reshape` needs `dims`"),
    ],
)
def test_what_is_no_shape_is_refused(line: str, code: str, message: str) -> None:
    ((found, told, _, _),) = errors(Case(line))
    assert found == code
    assert message in told


# --- permute, roll, first, last, flatten, split -----------------------------------------------------------------

IMAGE = {"x": "[B, 3, H, W]"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_permute_is_pytorchs(order: tuple[int, ...]) -> None:
    case = Case(f"permute([{', '.join(map(str, order))}])", IMAGE)
    y, (x,) = run(case)
    assert torch.equal(y, x.permute(order))


def test_two_axes_that_change_places_are_a_transpose() -> None:
    assert "return x.transpose(1, 2)\n" in Case("permute([0, 2, 1])").compiled().model_code
    assert "return x\n" in Case("permute([0, 1, 2])").compiled().model_code


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("permute([0, 1])", "permute names 0 and 1, and [B, T, 12] has axes 0 to 2"),
        ("permute([])", "permute names no axis, and [B, T, 12] has axes 0 to 2"),
        ("permute([0, 1, 1])", "permute names 0, 1 and 1, and [B, T, 12] has axes 0 to 2"),
        ("permute([0, 1, 3])", "permute along axis 3, and [B, T, 12] has 3"),
    ],
)
def test_an_order_that_is_none_is_refused(line: str, message: str) -> None:
    ((_, found, _, _),) = errors(Case(line))
    assert found == message


@pytest.mark.parametrize("n", [-7, -1, 0, 1, 3, 12])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_roll_is_pytorchs(n: int, axis: int) -> None:
    y, (x,) = run(Case(f"roll({n}, over = {axis})"))
    assert torch.equal(y, torch.roll(x, n, axis))


@pytest.mark.parametrize("n", ["-2", "[1, -2]"])
def test_roll_over_several_axes(n: str) -> None:
    y, (x,) = run(Case(f"roll({n}, over = [2, 3])", IMAGE))
    assert torch.equal(y, torch.roll(x, (-2, -2) if n == "-2" else (1, -2), (2, 3)))


def test_a_roll_is_refused_that_names_an_axis_twice_or_has_too_many_shifts() -> None:
    ((_, message, _, _),) = errors(Case("roll(1, over = [1, 1])"))
    assert message == "roll names an axis of [B, T, 12] twice"
    ((_, message, _, _),) = errors(Case("roll([1, 2, 3], over = [1, 2])"))
    assert message == "roll has 3 shifts for 2 axes"
    ((code, _, _, _),) = errors(Case("roll(0.5, over = 1)"))
    assert code == "wrong-value"


@pytest.mark.parametrize(("word", "place"), [("first", 0), ("last", -1)])
@pytest.mark.parametrize("type_", ["[B, T, 12]", "[B, T]", "[B, 3, H, W]"])
def test_first_and_last_take_axis_1_away(word: str, place: int, type_: str) -> None:
    y, (x,) = run(Case(word, {"x": type_}))
    assert torch.equal(y, x[:, place])
    ((_, message, _, _),) = errors(Case(word, {"x": "[B]"}))
    assert message == f"{word} picks along axis 1, and [B] has none"


def test_flatten_and_split() -> None:
    y, (x,) = run(Case("flatten", IMAGE))
    assert torch.equal(y, x.flatten(1))
    y, (x,) = run(Case("split(3) as a, b, c\n  a -> concat(b, c)"))
    assert torch.equal(y, x)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("permute([B, H, W, 1]) -> mean(over = H)", lambda x: x.mean(2).movedim(1, -1)),
        ("reshape([B, H, W, 3]) -> mean(over = W)", lambda x: x.reshape(3, 5, 2, 3).mean(2)),
        ("reshape([B, -1, H, W]) -> mean(over = [H, W])", lambda x: x.mean((2, 3))),
        ("first -> mean(over = H)", lambda x: x[:, 0].mean(1)),
        ("roll(1, over = H) -> mean(over = W)", lambda x: x.roll(1, 2).mean(3)),
        ("flatten -> mean(over = B)", lambda x: x.flatten(1).mean(0)),
        ('rearrange("b c h w -> w h b c") -> mean(over = W)', lambda x: x.mean(3).permute(2, 0, 1)),
        ('rearrange("b c (h k) w -> b c h k w", h = H) -> mean(over = H)', lambda x: x.unsqueeze(3).mean(2)),
    ],
)
def test_axes_have_names_afterwards(line: str, expected: Any) -> None:
    y, (x,) = run(Case(line, IMAGE))
    assert torch.allclose(y, expected(x), atol=1e-6)


# --- ONNX -------------------------------------------------------------------------------------------------------

ONNX = [
    *(case for case, _ in RESHAPES),
    *(Case(f"roll({n}, over = {axis})") for n in (-7, 0, 1, 12, 29) for axis in (1, -1)),
    Case("roll([1, -2], over = [2, 3])", IMAGE),
    *(Case(f"permute([{order}])") for order in ("0, 1, 2", "2, 0, 1")),
    Case("first"),
    Case("last"),
    Case("flatten", IMAGE),
    Case("concat(other, axis = 1)", {"x": "[B, T, 12]", "other": "[B, H, 12]"}),
    Case("concat(other)", {"x": "[B, 3, H]", "other": "[B, 3, W]"}),
]


@pytest.mark.parametrize("case", ONNX, ids=str)
def test_the_onnx_nodes_compute_what_pytorch_does(case: Case, tmp_path: Path) -> None:
    agrees_in_onnx(case, tmp_path)
