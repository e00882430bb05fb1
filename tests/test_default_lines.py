"""`default` lines that reach nothing, or that another line takes the place of."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch


def findings(body: str, above: str = "") -> list[tuple[str, str, str]]:
    text = f"dlspec 1\n{above}model N: (x: [B, 8]) -> (y: [B, 8]) {{\n{body}\n}}\n"
    found = analyse(Source("n.dlspec", text)).diagnostics
    return [(d.severity, d.code, d.span.text) for d in found]


@pytest.mark.parametrize(
    ("body", "above"),
    [
        ("Linear(8)\ndefault Linear(bias = false)", ""),
        ("repeat(2) { default Linear(bias = false)\nrelu }\nLinear(8)", ""),
        ("Linear(8)", "default Conv2d(stride = 2)\n"),
        ("Linear(8)", "default LayerNorm(eps = 1e-6)\ndefault residual(pre = LayerNorm)\n"),
    ],
)
def test_a_default_below_which_nothing_takes_it_gets_a_warning(body: str, above: str) -> None:
    assert [found[:2] for found in findings(body, above)] == [("warning", "empty-default")]


@pytest.mark.parametrize(
    ("body", "above"),
    [
        ("repeat(2) { Linear(8) }", "default Linear(bias = false)\n"),
        ("default Linear(bias = false)\nLinear(8)\ndefault Linear(bias = true)\nLinear(8)", ""),
        ("default Linear(bias = true)\nLinear(8)", "default Linear(bias = false)\nblock A { Linear(8) }\n"),
        ("A\nLinear(8)", "default Linear(bias = false)\ndefault Linear(init = he)\nblock A { Linear(8) }\n"),
        ("residual { Linear(8) }", "default LayerNorm(eps = 1e-6)\ndefault residual(pre = LayerNorm)\n"),
    ],
)
def test_a_default_that_something_takes_gets_none(body: str, above: str) -> None:
    assert [found for found in findings(body, above) if found[1] != "unused-name"] == []


def test_two_defaults_of_one_option_in_a_body_are_told_at_the_second() -> None:
    body = "default Linear(bias = false)\ndefault Linear(bias = true, init = he)\nLinear(8)"
    assert findings(body) == [("error", "conflict", "bias = true")]


def test_a_value_that_no_call_takes_is_held_against_its_layer() -> None:
    body = "Linear(8, bias = false)\ndefault Linear(bias = 3)"
    assert findings(body) == [("error", "wrong-value", "3")]
    assert findings("Linear(8)", 'default Conv2d(stride = "x", bias = 7)\n') == [
        ("error", "wrong-value", '"x"'),
        ("error", "wrong-value", "7"),
    ]


def test_a_value_is_worked_out_with_the_names_of_its_body() -> None:
    right = "p = 0.5\ndefault Dropout(p = p)\nLinear(8) -> Dropout"
    wrong = "p = 5\ndefault Dropout(p = p)\nLinear(8) -> Dropout(0.1)"
    assert findings(right) == []
    assert findings(wrong) == [("error", "wrong-value", "p")]
