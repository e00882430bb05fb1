"""The formatter: one layout, nothing lost, and a second pass that changes nothing."""

from __future__ import annotations

import random
from pathlib import Path

import grammar_trees
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlspec.grammar import Source, format, parse, spell, tree
from dlspec.grammar.lexer import comments

pytestmark = pytest.mark.no_torch


def laid_out(text: str) -> str:
    source = Source("spec.dlspec", text)
    file, findings = parse(source)
    assert findings == []
    return format(file, source)


def check_layout(text: str) -> str:
    """The formatted text, after the properties that hold for every text."""
    file, _ = parse(Source("spec.dlspec", text))
    once = laid_out(text)
    assert parse(Source("once.dlspec", once)) == (file, [])
    assert laid_out(once) == once
    written = sorted(span.text for span in comments(Source("spec.dlspec", text)))
    assert sorted(span.text for span in comments(Source("once.dlspec", once))) == written
    assert once.endswith("\n") and "\n\n\n" not in once and not any(line.endswith(" ") for line in once.splitlines())
    return once


@pytest.mark.slow
@settings(max_examples=150)
@given(grammar_trees.files)
def test_every_tree_is_printed_as_a_text_that_reads_back_as_the_tree(file: tree.File) -> None:
    text = format(file, Source("nowhere", ""))
    assert parse(Source("printed.dlspec", text)) == (file, [])
    check_layout(text)


@pytest.mark.slow
@settings(max_examples=150)
@given(grammar_trees.files, st.integers(0, 2**32))
def test_spaces_line_breaks_and_comments_lose_nothing(file: tree.File, seed: int) -> None:
    text = grammar_trees.respaced(format(file, Source("nowhere", "")), random.Random(seed))
    assert parse(Source("respaced.dlspec", text)) == (file, [])
    check_layout(text)


LAYOUTS = {
    "spaces": ("x=1\ny   =  [1,2 ,3]\n", "x = 1\ny = [1, 2, 3]\n"),
    "operators": ("x=a+b*-c^2==d//e if f<g else h\n", "x = a + b * -c ^ 2 == d // e if f < g else h\n"),
    "parentheses that order needs": ("x = (a + b) * c\n", "x = (a + b) * c\n"),
    "parentheses that a reader may need": ("x = a + (b * c)\n", "x = a + (b * c)\n"),
    "parentheses around the whole": ("x = ((a + b))\n", "x = a + b\n"),
    "a column of `=`": ("a = 1\nlonger = 2\n\nb = 3\n", "a      = 1\nlonger = 2\n\nb = 3\n"),
    "a long name pushes nobody": ("a = 1\nbcd = 2\nten_letters = 3\n", "a   = 1\nbcd = 2\nten_letters = 3\n"),
    "another line ends the column": (
        "a = 1\ndefault Dropout(0.1)\nlonger = 2\n",
        "a = 1\ndefault Dropout(0.1)\nlonger = 2\n",
    ),
    "braces on one line stay": ("block A { x  ->y }\n", "block A { x -> y }\n"),
    "braces on several lines stay": ("block A {\nx }\n", "block A {\n  x\n}\n"),
    "an empty body": ("block A {\n\n}\n", "block A { }\n"),
    "a break before an arrow stays": (
        "block A {\n a -> b\n -> c -> d\n}\n",
        "block A {\n  a -> b\n    -> c -> d\n}\n",
    ),
    "a break within parentheses goes": ("x = f(a,\n  b)\n", "x = f(a, b)\n"),
    "empty lines": (
        "\n\na = 1\n\n\n\nblock A {\n\n x\n\n\n y\n\n}\nblock B {\n x\n}\n",
        "a = 1\n\nblock A {\n  x\n\n  y\n}\n\nblock B {\n  x\n}\n",
    ),
    "comments": (
        "#one\na = 1 # two\nbb = 2# three\n\n\n# four\nblock A { # five\n # six\n x # seven\n\n # eight\n}\n# nine",
        "#one\na  = 1  # two\nbb = 2  # three\n\n"
        "# four\nblock A {  # five\n  # six\n  x  # seven\n\n  # eight\n}\n\n# nine\n",
    ),
    "comments in a call": (
        "x = f(a, # one\n # two\n b)\n",
        "x = f(\n  a,  # one\n  # two\n  b,\n)\n",
    ),
    "comments in a chain": (
        "block A {\n a # one\n # two\n -> b\n}\n",
        "block A {\n  a  # one\n    # two\n    -> b\n}\n",
    ),
    "a comment within an expression": ("x = (a # one\n + b)\n", "# one\nx = a + b\n"),
    "a line that began with minus": ("block A { -x -> y }\n", "block A { (-x) -> y }\n"),
}


KNOWN: dict = {}
"""Filled by all examples of one test."""


@pytest.mark.slow
@settings(max_examples=150)
@given(grammar_trees.files, st.integers(0, 2**32))
def test_what_was_laid_out_before_changes_nothing(file: tree.File, seed: int) -> None:
    """Lines are remembered from all files before it, and from an edition of its own with other spaces."""
    for text in (
        format(file, Source("nowhere", "")),
        grammar_trees.respaced(format(file, Source("nowhere", "")), random.Random(seed)),
    ):
        source = Source("drawn", text)
        parsed, _ = parse(source)
        assert format(parsed, source, KNOWN) == format(parsed, source)
        assert format(parsed, source, KNOWN) == format(parsed, source)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layout(name: str) -> None:
    written, meant = LAYOUTS[name]
    assert check_layout(f"dlspec 1\n{written}").removeprefix("dlspec 1\n").removeprefix("\n") == meant.removeprefix(
        "\n"
    )


def test_long_lines_break_one_argument_a_line() -> None:
    arguments = ", ".join(f"argument_{i} = {i}" for i in range(9))
    broken = "\n".join(f"    argument_{i} = {i}," for i in range(9))
    assert check_layout(f"dlspec 1\nblock A {{\n  f(x)\n  g(y, {arguments})\n}}\n").endswith(
        f"block A {{\n  f(x)\n  g(\n    y,\n{broken}\n  )\n}}\n"
    )


def test_long_lines_break_at_an_arrow_first() -> None:
    stages = [f"stage_{i}: Linear({i}, bias = false)" for i in range(6)]
    assert check_layout(f"dlspec 1\nblock A {{\n  {' -> '.join(stages)}\n}}\n") == (
        f"dlspec 1\n\nblock A {{\n  {' -> '.join(stages[:3])}\n    -> {' -> '.join(stages[3:])}\n}}\n"
    )


def test_long_lists_break_one_branch_a_line() -> None:
    branches = [f"way_{i}: {{ Conv2d({i}, kernel = 1) -> Conv2d({i}, kernel = 3) }}" for i in range(3)]
    lines = "\n".join(f"    {branch}," for branch in branches)
    assert check_layout(f"dlspec 1\nblock A {{\n  [{', '.join(branches)}] -> concat\n}}\n").endswith(
        f"  [\n{lines}\n  ] -> concat\n}}\n"
    )


def test_long_sums_break_in_parentheses() -> None:
    terms = [f"binary_cross_entropy(output_{i}, {i})" for i in range(4)]
    lines = "\n".join(f"    {'+ ' if i else ''}{term}" for i, term in enumerate(terms))
    assert check_layout(f"dlspec 1\ntrain A {{\n  loss = {' + '.join(terms)}\n}}\n").endswith(
        f"  loss = (\n{lines}\n  )\n}}\n"
    )


def test_long_heads_break_at_their_ports() -> None:
    inputs = [f"input_{i}: int[B, T <= 1024]" for i in range(4)]
    lines = "\n".join(f"  {port}," for port in inputs)
    assert check_layout(f"dlspec 1\nmodel Net: ({', '.join(inputs)}) -> (y: [B, 10]) {{ x }}\n").endswith(
        f"model Net: (\n{lines}\n) -> (y: [B, 10]) {{ x }}\n"
    )


@pytest.mark.parametrize("width", range(100, 130))
def test_no_line_is_longer_than_needed(width: int) -> None:
    """Calls of every length around the limit: on one line as long as they fit, and never beyond 120 columns."""
    text = f"dlspec 1\nblock A {{\n  call({'x' * (width - 59)}, {'y' * 49})\n}}\n"
    assert max(map(len, text.splitlines())) == width
    lines = check_layout(text).splitlines()
    assert max(map(len, lines)) <= 120
    assert (len(lines) == 5) is (width <= 120)


def test_the_whole_language_is_laid_out_already() -> None:
    whole = (Path(__file__).with_name("grammar") / "whole.dlspec").read_text(encoding="utf-8")
    assert check_layout(whole) == whole
    squeezed = "".join(f"{line.strip()}\n" for line in whole.splitlines())
    assert check_layout(squeezed) == whole


def test_the_specs_of_the_design_change_in_spaces_only(shared: Path) -> None:
    for path in sorted((shared / "design" / "specs").glob("*.dlspec")):
        written = path.read_text(encoding="utf-8")
        laid = check_layout(written)
        assert [line.split() for line in laid.splitlines()] == [line.split() for line in written.splitlines()]
        if path.stem in ("gpt", "unet"):
            assert laid == written


def test_line_ends_of_windows_and_a_mark_go() -> None:
    assert laid_out("\ufeffdlspec 1\r\nx = 1 # one\r\n") == "dlspec 1\nx = 1  # one\n"


def test_one_node_is_spelled_on_its_line() -> None:
    file, _ = parse(Source("spec.dlspec", "dlspec 1\nx = (a+b)  *f( c,d = 4 )  # note\n"))
    (constant,) = file.items
    assert spell(constant) == "x = (a + b) * f(c, d = 4)"
    assert isinstance(constant, tree.Constant) and spell(constant.value) == "(a + b) * f(c, d = 4)"
