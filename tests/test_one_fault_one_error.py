"""What follows from a fault is not told beside it: these specs have as many errors as faults."""

from __future__ import annotations

import pytest

from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

pytestmark = pytest.mark.no_torch

NET = "model Net: (x: [B, T, 8]) -> (y: [B, T, 8]) {{\n{}\n}}\n"
"""A model of which only the lines of its body are written below."""


def told(text: str) -> list[tuple[int, str]]:
    """The lines and codes of all errors; the first line of `text` is line 1."""
    found = analyse(Source("n.dlspec", f"dlspec 1\n{text}")).diagnostics
    return [(d.span.line - 1, d.code) for d in found if d.severity == "error"]


def in_net(lines: str) -> str:
    return NET.format(lines)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("w = 8 +\nv = 8\n" + in_net("Linear(v) -> Linear(w)"), [(1, "missing-value")]),
        ("w = 8 *\nf(x) = x\n" + in_net("Linear(w) -> f"), [(1, "missing-value")]),
        (in_net("h = relu *\ng = relu\nh -> g"), [(2, "missing-value")]),
        (in_net("relu +\na: Linear(9) -> Linear(8)"), [(2, "missing-value")]),
        (in_net("a: Linear(8) +\nb: Linear(8)"), [(2, "unfinished-line")]),
    ],
)
def test_a_sign_at_the_end_of_a_line(text: str, faults: list[tuple[int, str]]) -> None:
    assert told(text) == faults
