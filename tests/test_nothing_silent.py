"""No value is lost and no name leads nowhere without a word, whether shapes are known or not."""

from __future__ import annotations

import pytest
from mistake_pages import ROOT, read_cases

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Diagnostic, Source

pytestmark = pytest.mark.no_torch

LIST = "{ [Linear(4), Linear(4)] }"


def found_in(body: str, before: str = "", ports: str = "(x: [B, 8]) -> (y: [B, 8])") -> list[Diagnostic]:
    return analyse(Source("n.dlspec", f"dlspec 1\n{before}model N: {ports} {{\n{body}\n}}\n")).diagnostics


def told(body: str, before: str = "", ports: str = "(x: [B, 8]) -> (y: [B, 8])") -> list[tuple[str, str]]:
    return [(d.code, d.span.text) for d in found_in(body, before, ports) if d.severity == "error"]


@pytest.mark.parametrize(
    ("made", "again"),
    [
        (f"b: {{ inner: {LIST} -> concat }}", "b.inner"),
        (f"b: {{ two: {{ inner: {LIST} -> concat }} }}", "b.two.inner"),
        (f"b: repeat(2) {{ inner: {LIST} -> concat }}", "b.1.inner"),
        ("b: { inner: Two -> concat }", "b.inner"),
        (f"inner: {LIST} -> concat", "momentum_copy(inner)"),
    ],
)
def test_a_list_of_a_module_that_a_path_leads_to_flows_on_whole(made: str, again: str) -> None:
    before = f"block Two {LIST}\n" if "Two" in made else ""
    assert told(f"{made}\n{again} -> Linear(8)", before) == [("lost-value", "Linear(8)")]
    assert told(f"{made}\n{again}", before) == [("lost-value", again)]
    assert told(f"{made}\n{again} -> concat", before) == []
    assert told(f"{made}\n{again} as p, q\np -> concat(q)", before) == []


@pytest.mark.parametrize(
    ("lines", "lost"),
    [
        ("split(2)", "split(2)"),
        ("split(2) -> Linear(8)", "Linear(8)"),
        ("split(2) as a\na", "a"),
        ("repeat(2) { split(2) }\nLinear(8)", "split(2)"),
        ("Linear(8)\nx -> Linear(8)", "x -> Linear(8)"),
    ],
)
def test_a_value_of_unknown_shape_is_lost_no_less(lines: str, lost: str) -> None:
    for fault, place in (("Liner(8)", "Liner"), ("Linear(0)", "0")):
        assert [text for _, text in told(f"{fault} -> relu\n{lines}")] == [place, lost]
        assert told(f"{fault} -> relu\n{lines}")[1][0] == "lost-value"


def test_what_is_made_behind_the_outputs_is_lost_where_its_shape_is_unknown() -> None:
    ports = "(x: [B, 8]) -> (y: [B, 8], z: [B, 8])"
    lines = "Linear(0) as y\nLinear(8) as z"
    assert told(lines, "", ports) == [("wrong-value", "0")]
    assert told(f"{lines}\nLinear(8)", "", ports) == [("wrong-value", "0"), ("lost-value", "Linear(8)")]


@pytest.mark.parametrize(
    "lines",
    [
        "Linear(0) as h\nx -> Linear(8) as g\ng + h",
        "Linear(0) as h\nx -> Linear(8) + Linear(h, 9)",  # the use of `h` has an error itself
        "Linear(0)\nsplit(2) -> concat",
        "Linear(0)\nsplit(2) as a, b\nconcat(a, b)",
    ],
)
def test_what_has_a_name_may_be_used_where_shapes_are_unknown(lines: str) -> None:
    assert "lost-value" not in [code for code, _ in told(lines)]


def test_the_label_of_no_copies_is_the_identity_and_has_nothing_inside() -> None:
    (used,) = found_in("b: repeat(0) { inner: Linear(8) }\nb.0.inner")
    assert (used.code, used.span.text) == ("unknown-name", "b.0.inner")
    assert used.message == "`b` makes no copies here, so nothing is inside it"
    assert found_in("b: repeat(0) { inner: Linear(8) }\nb") == []


@pytest.mark.parametrize("body", ["Linear(0)", "Linear(8) -> split(3) -> concat", "split(2) -> Linear(8)"])
def test_a_wrong_path_into_copies_that_could_not_be_made_is_never_the_end_of_a_clean_check(body: str) -> None:
    assert told(f"b: repeat(2) {{ inner: {body} }}\nb.0.innr")


def test_a_spec_without_errors_has_its_graphs() -> None:
    """A model whose shapes cannot be worked out has an error, or a note of what this version has not."""
    pages = sorted((ROOT / "corpus").glob("*.md"))
    for text in (case.right for page in pages for case in read_cases(page) if case.right):
        analysis = analyse(Source("n.dlspec", text))
        assert analysis.spec is not None
        if not any(d.code == "not-in-this-version" for d in analysis.diagnostics):
            assert analysis.graphs.keys() == analysis.spec.scope.models.keys()
