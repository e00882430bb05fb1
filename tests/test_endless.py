"""What leads back to itself is an error where it does, and a name given anew is none."""

from __future__ import annotations

import pytest

from dlspec.compiler.ir.graph import LayerModule
from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch


def check(body: str, before: str = "", shape: str = "[B, 8]") -> Analysis:
    model = f"model Net: (x: {shape}) -> (y: {shape}) {{\n{body}\n}}\n"
    return analyse(Source("net.dlspec", f"dlspec 1\n{before}\n{model}"))


@pytest.mark.parametrize(
    ("body", "before", "way"),
    [
        ("f = Linear(8) -> f\nf", "", "f -> f"),
        ("f = x + f\nf", "", "f -> f"),
        ("f = g\ng = f\nf", "", "f -> g -> f"),
        ("a = Linear(8) -> b\nb = Linear(8) -> a\na -> b", "", "a -> b -> a"),
        ("f = residual { f }\nf", "", "f -> f"),
        ("f = repeat(2) { Linear(8) -> f }\nf", "", "f -> f"),
        ("f", "f = Linear(8) -> f", "f -> f"),
        ("f = A(n = f)\nf", "block A(n) { n }", "f -> A -> n -> f"),
        ("f", "f = A(n = f)\nblock A(n) { n }", "f -> A -> n -> f"),
        ("f = a: { Linear(8) -> f }\nf", "", "f -> a -> f"),
        ("a: { Linear(8) -> a }", "", "a -> a"),
        ("a: residual { Linear(8) -> a }", "", "a -> a"),
        ("a: { b: { a } }", "", "a -> b -> a"),
        ("a: repeat(2) { l: Linear(8) -> a.0.l }", "", "a -> a.0.l"),
        ("A", "default A(n = f)\nf = A\nblock A(n) { n }", "n -> A -> n"),
        ("residual { relu }", "default residual(pre = f)\nf = residual { Linear(8) }", "f -> residual -> f"),
    ],
)
def test_the_way_is_told_once(body: str, before: str, way: str) -> None:
    found = check(body, before).diagnostics
    assert [d.code for d in found] == ["endless-flow"]
    assert found[0].message.endswith(f": {way}")


def test_a_value_beside_a_layer_leads_back_too() -> None:
    found = check("a = CrossAttention(2, memory = x -> a)\na", shape="[B, T, 8]").diagnostics
    assert [(d.code, d.span.text) for d in found] == [("endless-flow", "a")]


def test_an_activation_leads_back_too() -> None:
    before = "default SqueezeExcite(act = f)\nf = SqueezeExcite(2)"
    found = check("SqueezeExcite(2)", before, "[B, 8, 4, 4]").diagnostics
    assert [d.code for d in found] == ["endless-flow"]


def test_a_parameter_that_is_its_own_block_is_a_block_in_itself() -> None:
    assert [d.code for d in check("A", "block A(n = A) { n }").diagnostics] == ["endless-block"]


@pytest.mark.parametrize(
    "circle",
    [
        "block R { R }",
        "block R { S }\nblock S { Linear(8) -> R }",
        "block R(n = R) { n }",
        "block R { R }\nblock Over { R }",
        "block R { R }\nmodel Other: (x: [B, 8]) -> (y: [B, 8]) { R }",
        "block R { R }\nf = Linear(8) -> R\nmodel Other: (x: [B, 8]) -> (y: [B, 8]) { f }",
        "block R { R }\nblock Take(f) { f }\nmodel Other: (x: [B, 8]) -> (y: [B, 8]) { Take(R) }",
    ],
)
def test_a_block_in_itself_hides_no_fault_of_what_does_not_place_it(circle: str) -> None:
    unplaced = "block Unplaced: [B, 8] -> [B, 8] { Linear(4) }"
    found = check("Linear(4)", f"{circle}\n{unplaced}").diagnostics
    errors = sorted(d.code for d in found if d.severity == "error")
    assert errors == ["endless-block", "shape-mismatch", "shape-mismatch"]


def test_a_model_that_default_lines_lead_to_such_a_block_is_not_built() -> None:
    found = check("residual { Linear(8) }", "default residual(pre = R)\nblock R { R }").diagnostics
    assert [d.code for d in found] == ["endless-block"]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("x1 = x1 -> Linear(8)\nx1", "x1 = Linear(8) -> relu"),
        ("relu = relu -> Linear(8)\nrelu", ""),
        ("f = Linear(8)\nshare(2) {\nf = f -> relu\nf\n}", ""),
        ("A(n = relu)", "block A(n) {\nresidual {\nn = n -> Linear(8)\nn\n}\n}"),
        ("y = x1 -> relu\nx1 = y -> Linear(8)\nx1", "x1 = Linear(8)"),
        ("B(B(B(identity)))", "block B(inner) { Linear(8) -> inner }"),
        ("W(W(relu))", "block W(f) { V(f -> relu) }\nblock V(f) { Linear(8) -> f }"),
        ("residual { Linear(8) }", "default residual(pre = residual { Linear(8) })"),
        ("A", "default A(n = A)\nblock A(n = relu) { Linear(8) -> n }"),
        ("a: Linear(8) -> a", ""),
    ],
)
def test_a_name_given_anew_and_a_block_in_its_own_argument_are_legal(body: str, before: str) -> None:
    analysis = check(body, before)
    assert analysis.diagnostics == [] and set(analysis.graphs) == {"Net"}


def test_the_name_on_the_right_is_the_outer_one() -> None:
    made = check("f = f -> Linear(8)\nf", "f = Linear(4) -> relu").graphs["Net"].model.modules
    assert [str(module.inputs[0]) for module in made if isinstance(module, LayerModule)] == ["[B, 8]", "[B, 4]"]


def test_a_wrong_default_that_has_the_name_of_a_constant() -> None:
    found = check("A", "n = 9\nblock A(n = n) { Dropout(n) }").diagnostics
    assert [d.code for d in found] == ["wrong-value"]


@pytest.mark.slow
@pytest.mark.parametrize("line", ["c{i} = c{before} -> relu", "c{i} = c{before} + 0"])
def test_names_that_lead_on_without_end_are_told(line: str) -> None:
    count = 6_000
    lines = [line.format(i=i, before=i - 1) for i in reversed(range(1, count))]
    before = "\n".join([*lines, "c0 = 8" if "+" in line else "c0 = relu"])
    use, first = f"Linear(8) -> c{count - 1}", f"c{count - 1}"
    (found,) = check(use, before).diagnostics
    assert (found.code, found.span.text) == ("too-deep", first if "+" in line else use)
    # What else is wrong is told beside it.
    others = check(f"Liner(8)\n{use}\nLinear(0)", before).diagnostics
    assert [d.code for d in others if d.severity == "error"] == (
        ["too-deep", "unknown-layer", "wrong-value"] if "+" in line else ["unknown-layer", "too-deep", "wrong-value"]
    )


def test_copies_of_what_is_unknown_that_end_in_what_is_known() -> None:
    assert [d.code for d in check("nothing -> repeat(2) { relu -> x -> Linear(8) }").diagnostics][:1] == [
        "unknown-name"
    ]


@pytest.mark.parametrize(
    ("body", "before", "way"),
    [
        ("f = Linear(8) -> f\nrelu", "", "f -> f"),
        ("f = Linear(8) -> g\ng = Linear(8) -> f\nrelu", "", "f -> g -> f"),
        ("f = residual { a: { Linear(8) -> f } }\nrelu", "", "f -> f"),
        ("relu", "f = Linear(8) -> f", "f -> f"),
        ("relu", "f = Linear(8) + g\ng = Linear(8) -> h\nh = [f, relu] -> concat", "f -> g -> h -> f"),
    ],
)
def test_what_nothing_runs_leads_back_to_itself_all_the_same(body: str, before: str, way: str) -> None:
    found = check(body, before).diagnostics
    assert [d.code for d in found] == ["endless-flow"]
    assert found[0].message.endswith(f": {way}")


@pytest.mark.parametrize(
    ("body", "before", "codes"),
    [
        ("relu = relu -> Linear(8)\ntanh", "", ["unused-name"]),
        ("f = f -> Linear(8)\nrelu", "f = Linear(8)", ["unused-name"]),
        ("relu", "deep = true\nf = relu if deep else f", ["unused-name"]),
        ("f = g -> relu\ng = Linear(8)\nrelu", "", ["unused-name"]),
        ("f = Linear(8) -> f\nh = f -> relu\nrelu", "", ["endless-flow", "unused-name"]),
        ("f", "f = Linear(8) -> g\ng = Linear(8) -> f", ["endless-flow"]),
        ("f", "f = Linear(8) -> f\ng = Linear(8) -> g", ["endless-flow", "endless-flow"]),
    ],
)
def test_what_leads_elsewhere_is_only_unused(body: str, before: str, codes: list[str]) -> None:
    assert [d.code for d in check(body, before).diagnostics] == codes
