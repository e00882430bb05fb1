"""What no call builds is refused where it stands: a value, or a default that every call overrides, of a wrong kind."""

from __future__ import annotations

import pytest

from dlspec.compiler.build import blocks
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source

pytestmark = pytest.mark.no_torch

SPEC = """dlspec 1
block Unit(out, {params}) {{
  {body}
}}
model N: (x: [B, 16, 8, 8]) -> (y: [B, 8, 8, 8]) {{
  {calls}
}}
"""


def errors(params: str, body: str, calls: str) -> list[Diagnostic]:
    text = SPEC.format(params=params, body=body, calls=calls)
    return [d for d in analyse(Source("n.dlspec", text)).diagnostics if d.severity == "error"]


@pytest.mark.parametrize(
    ("params", "body", "calls"),
    [
        ('stride = "many"', "Conv2d(out, 3, stride = stride, pad = 1)", "Unit(8, stride = 1)"),
        ('stride = "many"', "Conv2d(out, 3, stride = stride, pad = 1)", "Unit(16, stride = 1) -> Unit(8, stride = 1)"),
        ("stride = false", "Conv2d(out, 3, stride = stride, pad = 1)", "Unit(8, stride = 1)"),
        ("bias = 3", "Conv2d(out, 1, bias = bias)", "Unit(8, bias = true)"),
        ('wide = "many"', "Conv2d(out, 1) if wide > 1 else Conv2d(out, 3, pad = 1)", "Unit(8, wide = 2)"),
        ('size = "many"', "inner: { repeat(2) { Conv2d(out, size, pad = same) } }", "Unit(8, size = 3)"),
        ('size = "many"', "residual(skip = project(out)) { Conv2d(out, size, pad = same) }", "Unit(8, size = 3)"),
    ],
)
def test_a_default_of_a_wrong_kind_is_refused_at_its_text(params: str, body: str, calls: str) -> None:
    (finding,) = errors(params, body, calls)
    assert finding.code in ("wrong-value", "not-a-condition")
    assert finding.span.text == params.rpartition("= ")[2] and finding.span.line == 2
    ((place, said),) = finding.labels
    assert said == "used here" and place.line == 3


@pytest.mark.parametrize(
    ("params", "body", "calls"),
    [
        # What fits depends on what else a call gives.
        ("groups = 32", "Conv2d(out, 1) -> GroupNorm(groups)", "Unit(8, groups = 4)"),
        ("wide = false, size = 0", "Conv2d(out, size, pad = same) if wide else Conv2d(out, 1)", "Unit(8, true, 3)"),
        ("norm = GroupNorm(32)", "Conv2d(out, 1) -> norm", "Unit(8, norm = BatchNorm)"),
        # A word that the block asks for itself, and one that the layer takes.
        ('size = "auto"', 'Conv2d(out, 1 if size == "auto" else size, pad = same)', "Unit(8, size = 3)"),
        ('pad = "same"', "Conv2d(out, 3, pad = pad)", "Unit(8, pad = 1)"),
        # Nothing is no kind: a block may need what its other parameters ask for.
        ("size = none", "Conv2d(out, size, pad = same)", "Unit(8, size = 3)"),
        # A list or a number.
        ("size = [3, 3]", "Conv2d(out, size, pad = same)", "Unit(8, size = 3)"),
    ],
)
def test_a_default_that_may_be_meant_is_left_alone(params: str, body: str, calls: str) -> None:
    assert errors(params, body, calls) == []


def test_a_default_that_a_call_takes_is_told_once() -> None:
    body = "Conv2d(out, 3, stride = stride, pad = 1)"
    (finding,) = errors('stride = "many"', body, "Unit(16, stride = 1)\n  Unit(8)")
    assert finding.span.text == '"many"' and [span.text for span, _ in finding.labels] == ["stride"]


def test_a_wrong_default_beside_another_fault() -> None:
    found = errors('stride = "many"', "Conv2d(out, 3, stride = stride, pad = 1)", "Unit(8, stride = 1) -> Linear(0)")
    assert [(d.code, d.span.line) for d in found] == [("wrong-value", 2), ("wrong-value", 6)]


def test_a_default_of_the_same_kind_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block is built once a call, and once more for each default that is of another kind."""
    built: list[str] = []
    build = blocks.build_block

    def counted(block: object, *args: object) -> object:
        built.append(str(block.name))  # type: ignore[attr-defined]
        return build(block, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(blocks, "build_block", counted)
    calls = "\n  ".join(["Unit(16, 1, 1)"] * 20 + ["Unit(8, 1, 1)"])
    body = "Conv2d(out, size, stride = stride, pad = same)"
    assert errors("size = 3, stride = 2", body, calls) == []
    assert len(built) == 21
    assert len(errors('size = "many", stride = "many"', body, calls)) == 2
    assert len(built) == 21 + 21 + 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("block Other { SelfAttention(0) -> Dropout(9) }", ["0", "9"]),
        ("block Other { residual(drop = 2, pre = LayerNorm) { Linear(8) } }", ["2"]),
        ("m = Dropout(7)", ["7"]),
        ("default residual(drop = 9, pre = Liner)", ["9", "Liner"]),
        ("default Dropout(p = 9)", ["9"]),
        ("block Other(n) { Linear(n) -> Dropout(n, 0.1) }", ["0.1"]),
        ("block Other { repeat(-1) { relu } -> share(-2) { relu } -> repeat([2]) { relu } }", ["-1", "-2", "[2]"]),
        ("block Other { repeat(1_000_000) { Linear(8) } }", ["1_000_000"]),
        ("block Other { experts(0, top = 1.5) { relu } -> dense(axis = true) { relu } }", ["0", "1.5", "true"]),
        ('block Other { residual(skip = project(0, stride = "a")) { relu } }', ["0", '"a"']),
        ('m = split(0) -> permute([true]) -> Conv2d([8, 8], [3, "a"])', ["0", "[true]", "[8, 8]", '[3, "a"]']),
        ("m = Weight([0.5]) + repeat(-1) { relu }", ["[0.5]", "-1"]),
        ("default mean(over = [true])\ndefault Conv2d(kernel = [3, true])", ["[true]", "[3, true]"]),
        # What a parameter or dim is, nobody knows there.
        (
            "block Other(n): [B, D] -> [B, D] { repeat(n) { relu } -> permute([B, D]) -> roll([n, 1], over = [0, D]) }",
            [],
        ),
    ],
)
def test_a_value_in_text_that_nothing_builds(text: str, wrong: list[str]) -> None:
    spec = f"dlspec 1\n{text}\nmodel N: (x: [B, 8]) -> (y: [B, 8]) {{ Linear(8) }}\n"
    found = analyse(Source("n.dlspec", spec)).diagnostics
    assert [d.span.text for d in found if d.severity == "error"] == wrong


def test_what_is_not_built_may_be_guarded() -> None:
    body = "repeat(0) { repeat(-1) { Dropout(9) } }\n  repeat(2, index = i) { Linear(8 * i) if i > 0 else Linear(8) }"
    body += "\n  Linear(depth) if depth > 0 else relu"
    spec = f"dlspec 1\ndepth = 0\nmodel N: (x: [B, 8]) -> (y: [B, 8]) {{\n  {body}\n}}\n"
    found = analyse(Source("n.dlspec", spec)).diagnostics
    assert [(d.code, d.span.text) for d in found] == [("wrong-value", "-1"), ("wrong-value", "9")]
