"""The names of a file are found by its tree alone: every shipped spec, and the rules of scopes one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.compiler.semantics.arithmetic import MATHS
from dlspec.compiler.semantics.language import COMBINATORS, FUNCTIONS, LAYERS
from dlspec.editor.imports import Files
from dlspec.editor.index import Index
from dlspec.editor.names import read_names
from dlspec.grammar import Source, parse

pytestmark = pytest.mark.no_torch

LIBRARY = LAYERS | FUNCTIONS | COMBINATORS | MATHS | {"deepnorm"}
WORDS = {"same", "imagenet"}
"""Bare words of options, which are no names."""


def index(text: str) -> Index:
    file, found = parse(Source("x.dlspec", text))
    assert found == []
    return read_names(file)


def test_every_name_of_every_spec_is_known(repo: Path) -> None:
    files = Files()
    for path in (repo / "specs").rglob("*.dlspec"):
        source = Source(str(path), path.read_text(encoding="utf-8"))
        file, _ = parse(source)
        found = read_names(file, files.outside(file))
        assert {word for _, word in found.unknown} <= LIBRARY | WORDS, path.name


HEAD = "dlspec 1\nn = 8\n"


@pytest.mark.parametrize(
    ("line", "use", "given"),
    [
        # A parameter comes before a constant, an inner name before an outer.
        ("block A(n) { Linear(n) }", "n) }", "n) {"),
        ("block A(m, k = 2 * m) { Linear(k) }", "m) {", "m, k"),
        # The index of a repeat is seen in its body only.
        ("block A { repeat(2, index = i) { Linear(i + 1) } }", "i + 1", "i) {"),
        # A label that shares a value's name: bare it is the value, dotted the module.
        ("block A(d) { q: Linear(d) as q\n q -> Linear(d, weight = q.weight) }", "q ->", "q\n"),
        ("block A(d) { q: Linear(d) as q\n q -> Linear(d, weight = q.weight) }", "q.weight", "q: "),
        # A dim that an input binds.
        ("block A: (x: [B, T], y: [B, T]) -> [B, T] { x + y }", "T] {", "T], y"),
        # A path into labels, and by keyword into a block.
        ("block A(k) { up: Linear(k) }\nblock C { a: A(3) -> Linear(2, weight = a.up.weight) }", "up.weight", "up: "),
        ("block A(k) { Linear(k) }\nblock C { A(k = 3) }", "k = 3", "k) {"),
        ("block A(x, y) { Linear(y) }\nblock C(y) { A(x = y, y = 1) }", "y, y = 1", "y) { A("),
    ],
)
def test_a_use_stands_for(line: str, use: str, given: str) -> None:
    found = index(HEAD + line + "\n")
    mention = found.at((HEAD + line).rindex(use))
    assert mention is not None
    assert mention.symbol.span.start == (HEAD + line).index(given)
