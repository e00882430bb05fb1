"""Functions that change shapes, and the sources: emitted PyTorch and ONNX against what they are to compute."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dlspec.compiler.backends.onnx.model import build
from dlspec.compiler.backends.onnx.save import save
from dlspec.compiler.backends.plan import Sizes
from dlspec.compiler.build.model import build_model
from dlspec.compiler.layers.base import NoOnnxForm
from dlspec.compiler.layers.rearrange_pattern import Pattern, PatternFault, parse
from dlspec.compiler.layers.reshape import quotient
from dlspec.compiler.pipeline import Artefact, analyse, compile
from dlspec.compiler.semantics.number import Number, Reference, equal, number, product
from dlspec.compiler.semantics.report import Report
from dlspec.compiler.semantics.tensor import Tensor as Type
from dlspec.grammar import Source
from dlspec.runtime.program import load_text

OPEN = {"B": 3, "T": 4, "H": 5, "W": 2}


@dataclass(frozen=True)
class Case:
    """A line of a model and its inputs; `constants` are lines of the file."""

    line: str
    inputs: dict[str, str] = field(default_factory=lambda: {"x": "[B, T, 12]"})
    constants: str = ""

    def __str__(self) -> str:
        return self.line

    def spec(self, output: str) -> Source:
        ports = ", ".join(f"{name}: {type_}" for name, type_ in self.inputs.items())
        begin = f"{next(iter(self.inputs))} -> " if len(self.inputs) > 1 and not self.line.startswith("{") else ""
        text = f"dlspec 1\n{self.constants}\nmodel Net: ({ports}) -> (y: {output}) {{\n  {begin}{self.line}\n}}\n"
        return Source("net.dlspec", text)

    def compiled(self) -> Artefact:
        """What the line gives is asked of a first try, which promises something else."""
        tried = analyse(self.spec("[1]"))
        assert tried.spec is not None
        found = build_model(tried.spec, tried.spec.scope.models["Net"], Report()).ports.outputs["y"]
        return compile(self.spec(str(found)))


def model_of(artefact: Artefact, *, exporting: bool = False) -> Any:
    model = load_text("net", artefact.export_code if exporting else artefact.model_code).Net()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


def inputs_of(artefact: Artefact) -> list[Tensor]:
    sizes = Sizes(OPEN)
    types = [value.type for value in artefact.graph.model.inputs]
    shapes = [tuple(map(sizes.of, type_.dims)) for type_ in types if isinstance(type_, Type)]
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in shapes]


def shape_of(artefact: Artefact) -> tuple[int, ...]:
    type_ = artefact.graph.model.outputs[0].type
    assert isinstance(type_, Type)
    return tuple(map(Sizes(OPEN).of, type_.dims))


def run(case: Case) -> tuple[Tensor, list[Tensor]]:
    """What the emitted model gives, and its inputs; the shape is the one that was inferred, in script the same."""
    artefact = case.compiled()
    inputs = inputs_of(artefact)
    y = model_of(artefact)(*inputs)
    assert tuple(y.shape) == shape_of(artefact)
    scripted = torch.jit.script(model_of(artefact, exporting=True))
    assert torch.equal(scripted(*inputs), y)
    return y, inputs


def errors(case: Case) -> list[tuple[str, str, str, str]]:
    """Code, message, the blamed text and the help of each error, those of the promised output left out."""
    found = analyse(case.spec("[1]")).diagnostics
    return [
        (d.code, d.message, d.span.text, d.help or "") for d in found if "promises" not in d.message and d.span.line > 2
    ]


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


# --- rearrange --------------------------------------------------------------------------------------------------


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


# --- sources ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "check"),
    [
        ("", lambda w: w.eq(0).all()),
        (", init = zeros", lambda w: w.eq(0).all()),
        (", init = ones", lambda w: w.eq(1).all()),
        (", init = normal(0.02)", lambda w: 0.018 < w.std() < 0.022 and abs(w.mean()) < 0.002),
        (", init = normal(std)", lambda w: 0.27 < w.std() < 0.33),
        (", init = xavier", lambda w: torch.equal(w, _drawn(nn.init.xavier_uniform_, w.shape))),
        (", init = he", lambda w: torch.equal(w, _drawn(nn.init.kaiming_normal_, w.shape, nonlinearity="relu"))),
        (", init = orthogonal", lambda w: torch.allclose(w.T @ w, torch.eye(40), atol=1e-5)),
    ],
)
def test_a_weight_begins_as_it_says(init: str, check: Any) -> None:
    case = Case(f"identity + Weight([60, 40]{init})", {"x": "[B, 60, 40]"}, "std = 0.3" if "std" in init else "")
    model = model_of(case.compiled())
    assert list(model.state_dict()) == ["weight"]
    assert check(model.weight.detach())


def _drawn(draw: Any, shape: Any, **options: Any) -> Tensor:
    return draw(torch.empty(shape), generator=torch.Generator().manual_seed(0), **options)


def test_a_weight_is_called_by_its_label_and_is_one_in_each_copy() -> None:
    case = Case("repeat(2) { identity * scale: Weight([dim], init = ones) + Weight([dim]) }", constants="dim = 12")
    model = model_of(case.compiled())
    assert list(model.state_dict()) == [f"layers.{i}.{key}" for i in range(2) for key in ("scale", "weight")]
    assert torch.equal(model(torch.ones(1, 2, 12)), torch.ones(1, 2, 12))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("Weight([B, 3])", "a Weight is made when the model is built, and B is open until it runs"),
        ("Weight([12], init = he)", "he goes by inputs and outputs, and a Weight of one dim has not both"),
        ("Weight([12], init = uniform)", "`uniform`"),
        ("Weight([12], init = normal)", "`init` takes zeros, ones, xavier, he, orthogonal or normal with a deviation"),
        (
            "Weight([12], init = normal(0))",
            "`init` takes zeros, ones, xavier, he, orthogonal or normal with a deviation",
        ),
        ("Weight([12], init = normal(0.1, 2))", "takes"),
        ("Weight([])", "`dims` takes a list of dims"),
    ],
)
def test_a_weight_that_cannot_be_is_refused(call: str, message: str) -> None:
    found = errors(Case(f"identity + {call}"))
    assert any(message in told for _, told, _, _ in found), found


def test_normal_draws_anew_in_evaluation_too_where_the_model_is() -> None:
    case = Case("identity + normal([B, T, 12])")
    artefact = case.compiled()
    assert "torch.randn(B, T, 12, device=x.device, dtype=x.dtype)" in artefact.model_code
    model = model_of(artefact)
    x = torch.zeros(20, 30, 12)
    first, second = model(x), model(x)
    assert not torch.equal(first, second)
    assert abs(first.mean()) < 0.1 and 0.95 < first.std() < 1.05
    assert model(x.bfloat16()).dtype == torch.bfloat16
    assert model(x.to("meta")).device.type == "meta"
    assert torch.jit.script(model)(x).shape == x.shape


def test_normal_follows_a_weight_where_only_whole_numbers_come_in() -> None:
    case = Case("Embedding(9, 4) + normal([B, T, 4])", {"x": "int[B, T]"})
    artefact = case.compiled()
    code = " ".join(artefact.model_code.split())
    assert "device=self.embedding.weight.device, dtype=self.embedding.weight.dtype" in code
    model = model_of(artefact).bfloat16()
    assert model(torch.zeros(2, 3, dtype=torch.long)).dtype == torch.bfloat16


def test_normal_has_no_onnx_form() -> None:
    artefact = Case("identity + normal([B, T, 12])").compiled()
    with pytest.raises(NoOnnxForm, match="normal"):
        build(artefact.graph, {}, metadata={})


LATENT = Case("{ sample_normal(mean, logvar) }", {"mean": "[B, 6]", "logvar": "[B, 6]"})


def test_sample_normal_is_the_mean_in_evaluation_and_a_draw_in_training() -> None:
    artefact = LATENT.compiled()
    model = model_of(artefact)
    mean, logvar = torch.full((4000, 6), 2.0, requires_grad=True), torch.full((4000, 6), -1.0, requires_grad=True)
    assert model(mean, logvar) is mean
    drawn = model.train()(mean, logvar)
    assert abs(drawn.mean() - 2) < 0.02 and abs(drawn.std() - math.exp(-0.5)) < 0.02
    drawn.sum().backward()
    assert mean.grad is not None and torch.equal(mean.grad, torch.ones_like(mean))
    assert logvar.grad is not None and torch.allclose(logvar.grad, (drawn - mean).detach() / 2, atol=1e-6)
    assert "sample_normal" not in artefact.export_code.split("class Net")[1]


def test_sample_normal_takes_values_of_one_shape() -> None:
    ((code, message, _, _),) = errors(Case("{ sample_normal(mean, logvar) }", {"mean": "[B, 6]", "logvar": "[B, 5]"}))
    assert code == "shape-mismatch"
    assert message == "sample_normal takes a mean and a logvar of one shape, and gets [B, 6] and [B, 5]"
    found = errors(Case("{ sample_normal(mean, Linear(6)) }", {"mean": "[B, 6]", "logvar": "[B, 6]"}))
    assert "not-a-value" in [code for code, *_ in found]


# --- ONNX -------------------------------------------------------------------------------------------------------

ONNX = [
    *(case for case, _ in RESHAPES),
    *(Case(f'rearrange("{p}"{", " if s else ""}{s})', inputs) for p, s, inputs, _ in REARRANGED),
    Case('rearrange("b ... (h d) -> b h ... d", h = 4)', {"x": "[B, T, H, 12]"}),
    *(Case(f"roll({n}, over = {axis})") for n in (-7, 0, 1, 12, 29) for axis in (1, -1)),
    Case("roll([1, -2], over = [2, 3])", IMAGE),
    *(Case(f"permute([{order}])") for order in ("0, 1, 2", "2, 0, 1")),
    Case("first"),
    Case("last"),
    Case("flatten", IMAGE),
    Case("identity * Weight([12], init = normal(0.5))"),
    Case("concat(other, axis = 1)", {"x": "[B, T, 12]", "other": "[B, H, 12]"}),
    Case("concat(other)", {"x": "[B, 3, H]", "other": "[B, 3, W]"}),
    LATENT,
]


@pytest.mark.parametrize("case", ONNX, ids=str)
def test_the_onnx_nodes_compute_what_pytorch_does(case: Case, tmp_path: Any) -> None:
    artefact = case.compiled()
    model, inputs = model_of(artefact), inputs_of(artefact)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    save(build(artefact.graph, weights, metadata={}), tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    fed = {value.name: x.numpy() for value, x in zip(artefact.graph.model.inputs, inputs, strict=True)}
    used = {port.name for port in session.get_inputs()}
    (found,) = session.run(None, {name: x for name, x in fed.items() if name in used})
    np.testing.assert_allclose(np.asarray(found), model(*inputs).detach().numpy(), rtol=1e-6)
