"""rearrange: emitted PyTorch and ONNX against what the pattern says, and patterns that are refused."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_cases import Case, agrees_in_onnx, errors, run

from dlspec.compiler.layers.rearrange_pattern import Pattern, PatternFault, parse


def by_index(pattern: str, x: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    """What a pattern says, entry by entry."""
    left, right = (side.replace("(", " ( ").replace(")", " ) ").split() for side in pattern.split("->"))

    def groups(tokens: list[str]) -> list[list[str]]:
        found: list[list[str]] = []
        inside = False
        for token in tokens:
            if token in "()":
                inside = token == "("
                found += [[]] if inside else []
            elif inside:
                found[-1].append(token)
            else:
                found.append([token])
        return [[name for name in group if name != "1"] for group in found]

    before, after = groups(left), groups(right)
    names = [name for group in before for name in group]
    out = np.empty([math.prod(sizes[n] for n in group) for group in after], x.dtype)
    for values in itertools.product(*(range(sizes[name]) for name in names)):
        at = dict(zip(names, values, strict=True))

        def place(group: list[str], at: dict[str, int] = at) -> int:
            index = 0
            for name in group:
                index = index * sizes[name] + at[name]
            return index

        out[tuple(map(place, after))] = x[tuple(map(place, before))]
    return out


REARRANGED = [
    ("b (h p) -> b h p", "p = 7", {"x": "[B, 21]"}, "x.unflatten(-1, (-1, 7))"),
    ("b t (h d) -> b h t d", "h = 4", {"x": "[B, T, 12]"}, "x.unflatten(-1, (4, -1)).transpose(1, 2)"),
    ("b h t d -> b t (h d)", "", {"x": "[B, 3, T, 5]"}, "x.transpose(1, 2).flatten(2)"),
    (
        "b c (h p) (w q) -> b (h w) (p q c)",
        "p = 2, q = 2",
        {"x": "[B, 3, 2 * H, 2 * W]"},
        "x.unflatten(-1, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 2, 4, 3, 5, 1).flatten(1, 2).flatten(2)",
    ),
    ("b t d -> (b t) d", "", {"x": "[B, T, 12]"}, "x.flatten(0, 1)"),
    ("b t d -> b 1 t d", "", {"x": "[B, T, 12]"}, "x.unsqueeze(1)"),
    ("b 1 t d -> d t b", "", {"x": "[B, 1, T, 12]"}, "x.squeeze(1).transpose(0, 2)"),
    ("b () t -> b t ()", "", {"x": "[B, 1, T]"}, "x.squeeze(1).unsqueeze(2)"),
    ("b (h 1) -> h b", "", {"x": "[B, 12]"}, "x.transpose(0, 1)"),
    ("b t d -> b t d", "", {"x": "[B, T, 12]"}, "x"),
    ("(b g) t -> b g t", "g = 3", {"x": "[6 * B, T]"}, "x.unflatten(0, (-1, 3))"),
    (
        "b (u v w) -> w (b v) u",
        "u = 2, w = 3",
        {"x": "[B, 24]"},
        "x.unflatten(-1, (2, -1, 3)).permute(3, 0, 2, 1).flatten(1, 2)",
    ),
]


@pytest.mark.parametrize(("pattern", "sizes", "inputs", "text"), REARRANGED, ids=[p[0] for p in REARRANGED])
def test_rearrange_is_what_the_pattern_says(pattern: str, sizes: str, inputs: dict[str, str], text: str) -> None:
    case = Case(f'rearrange("{pattern}"{", " if sizes else ""}{sizes})', inputs)
    y, (x,) = run(case)
    given = {name: int(value) for name, value in (pair.split(" = ") for pair in sizes.split(", ") if pair)}
    assert torch.equal(y, torch.from_numpy(by_index(pattern, x.numpy(), _lengths(pattern, x.shape, given))))
    code = case.compiled().model_code.replace("\n            ", "").replace("\n        )", ")")
    assert text in code


def _lengths(pattern: str, shape: tuple[int, ...], given: dict[str, int]) -> dict[str, int]:
    lengths = dict(given)
    for group, size in zip(parse(pattern).left, shape, strict=True):
        names = [axis.name for axis in group.axes if axis.name != "1"]
        free = [name for name in names if name not in given]
        if free:
            lengths[free[0]] = size // math.prod(given.get(name, 1) for name in names)
    return lengths


@pytest.mark.parametrize("seed", range(25))
def test_any_pattern_is_what_it_says(seed: int) -> None:
    draw = random.Random(seed)
    names = list("abcdef")[: draw.randint(1, 6)]
    sizes = {name: draw.randint(1, 4) for name in names}

    def side(order: list[str]) -> list[list[str]]:
        groups: list[list[str]] = []
        for name in order:
            if groups and draw.random() < 0.5:
                groups[-1].append(name)
            else:
                groups.append([name])
        if draw.random() < 0.3:
            groups.insert(draw.randint(0, len(groups)), [])
        return groups

    left, right = side(names), side(draw.sample(names, len(names)))
    text = " -> ".join(
        " ".join("1" if not g else g[0] if len(g) == 1 else f"({' '.join(g)})" for g in groups)
        for groups in (left, right)
    )
    shape = [math.prod(sizes[name] for name in group) for group in left]
    given = {name: sizes[name] for group in left if len(group) > 1 for name in group[1:]}
    options = "".join(f", {name} = {size}" for name, size in given.items())
    y, (x,) = run(Case(f'rearrange("{text}"{options})', {"x": f"[{', '.join(map(str, shape))}]"}))
    assert torch.equal(y, torch.from_numpy(by_index(text, x.numpy(), sizes)))


def test_the_rest_of_the_axes_stay_as_they_are() -> None:
    y, (x,) = run(Case('rearrange("b ... (h d) -> b h ... d", h = 4)', {"x": "[B, T, H, 12]"}))
    assert torch.equal(y, x.unflatten(3, (4, 3)).permute(0, 3, 1, 2, 4))
    y, (x,) = run(Case('rearrange("... d -> d ...")', {"x": "[B, 12]"}))
    assert torch.equal(y, x.T)


def test_a_length_may_be_open() -> None:
    inputs = {"x": "[B, H * W, 3]", "image": "[B, 3, H, W]"}
    y, (x, image) = run(Case('rearrange("b (h w) c -> b c h w", h = H) -> identity + image', inputs))
    assert torch.equal(y, x.unflatten(1, (5, 2)).permute(0, 3, 1, 2) + image)


PATTERN_FAULTS = [
    ('"b (h p -> b h p", p = 3', "wrong-value", "this is never closed", "("),
    ('"b h) -> b h"', "wrong-value", "this closes nothing", ")"),
    ('"b ((h) p) -> b h p"', "wrong-value", "parentheses lie in parentheses here", "("),
    ('"b t d"', "wrong-value", "the pattern has no arrow", "b t d"),
    ('"b -> t -> d"', "wrong-value", "the pattern has more than one arrow", "->"),
    ('"b t t -> b t"', "wrong-value", "`t` comes twice on one side", "t"),
    ('"b t d -> b t"', "wrong-value", "`d` is not on the right side", "d"),
    ('"b t d -> b t d n"', "wrong-value", "`n` is not on the left side", "n"),
    ('"b t 12 -> b 12 t"', "wrong-value", "an axis is called `12`", "12"),
    ('"b t d! -> b d t"', "wrong-value", "`!` means nothing in a pattern", "!"),
    ('"b (... d) -> b ... d"', "wrong-value", "`...` stands for whole axes", "..."),
    ('"b d -> d b"', "shape-mismatch", "the pattern has 2 axes, and [B, T, 12] has 3", "b d"),
    ('"b t (h d) -> b t h d"', "shape-mismatch", "the lengths of `h` and `d` are open", "(h d)"),
    ('"b t (h d) -> b t h d", h = 5', "shape-mismatch", "12 does not divide into parts of 5", "(h d)"),
    ('"b t (h d) -> b t h d", h = 3, d = 5', "shape-mismatch", "the axis is 12, not 3 * 5", "(h d)"),
    ('"b t d -> d t b", d = 11', "shape-mismatch", "the axis is 12, not 11", "d"),
    ('"b t 1 -> b t"', "shape-mismatch", "the axis is 12, not 1", "1"),
    ('"b (t s) d -> b t s d", s = 2', "shape-mismatch", "T does not divide into parts of 2", "(t s)"),
    ('"b t d -> d t b", q = 3', "unknown-option", "no axis of the pattern is called `q`", "q = 3"),
    (
        '"b t (h d) -> b t h d", h = 3, h = 4',
        "wrong-value",
        "`sizes` takes one length for each axis, and `h` is given twice",
        "h = 3, h = 4",
    ),
    (
        '"b t (h d) -> b t h d", h = 0.5',
        "wrong-value",
        "`sizes` takes whole numbers of at least 1 for the lengths of axes, and `h` is none",
        "h = 0.5",
    ),
]


@pytest.mark.parametrize(("call", "code", "message", "blamed"), PATTERN_FAULTS, ids=[f[0] for f in PATTERN_FAULTS])
def test_a_pattern_that_does_not_fit_is_refused_at_its_place(call: str, code: str, message: str, blamed: str) -> None:
    ((found, told, place, help),) = errors(Case(f"rearrange({call})"))
    assert (found, told, place) == (code, message, blamed)
    assert help


@given(st.text("abc()1-> .!2", max_size=14))
@settings(deadline=None)
def test_any_text_is_a_pattern_or_is_refused(text: str) -> None:
    found: Pattern | PatternFault
    try:
        found = parse(text)
    except PatternFault as fault:
        found = fault
    if isinstance(found, Pattern):
        left, right = (
            [a.name for group in side for a in group.axes if a.name != "1"] for side in (found.left, found.right)
        )
        assert sorted(left) == sorted(right)
    else:
        assert 0 <= found.part[0] <= found.part[1] <= len(text)
        assert found.help


# --- ONNX -------------------------------------------------------------------------------------------------------

ONNX = [
    *(Case(f'rearrange("{p}"{", " if s else ""}{s})', inputs) for p, s, inputs, _ in REARRANGED),
    Case('rearrange("b ... (h d) -> b h ... d", h = 4)', {"x": "[B, T, H, 12]"}),
]


@pytest.mark.parametrize("case", ONNX, ids=str)
def test_the_onnx_nodes_compute_what_pytorch_does(case: Case, tmp_path: Path) -> None:
    agrees_in_onnx(case, tmp_path)
