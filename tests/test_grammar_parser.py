"""Text to tree: what is read, where it stood, and how long and deep a text may be."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
from grammar_trees import Drawer, respaced

from dlspec.grammar import Source, format, parse, spell, tree

pytestmark = pytest.mark.no_torch

ITEMS = (tree.Import, tree.Constant, tree.Function, tree.Block, tree.Model, tree.Train, tree.Export)
LINES = (tree.Binding, tree.Named, tree.Default, tree.Phase)
# What stands only in a certain place.
PARTS = (tree.Keyword, tree.Entry, tree.Param, tree.Port, tree.Signature)
WHOLE = Path(__file__).with_name("grammar") / "whole.dlspec"


def read(text: str) -> tree.File:
    file, findings = parse(Source("spec.dlspec", text))
    assert findings == []
    return file


def flow(text: str) -> tree.Flow:
    """An expression, read as the value of a constant."""
    (constant,) = read(f"dlspec 1\nx = {text}\n").items
    assert isinstance(constant, tree.Constant)
    return constant.value


def shown(node: tree.Node) -> str:
    """An expression with all its parentheses."""
    match node:
        case tree.Binary():
            return f"({shown(node.left)} {node.operator} {shown(node.right)})"
        case tree.Negate():
            return f"(-{shown(node.operand)})"
        case tree.Choice():
            return f"({shown(node.then)} if {shown(node.condition)} else {shown(node.otherwise)})"
        case tree.Then():
            return f"({' -> '.join(map(shown, node.stages))})"
        case tree.Label():
            return f"({node.name}: {shown(node.target)})"
        case _:
            return spell(node)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a + b - c", "((a + b) - c)"),
        ("a - b * c / d", "(a - ((b * c) / d))"),
        ("a // b % c", "((a // b) % c)"),
        ("-a ^ b", "(-(a ^ b))"),
        ("a ^ -b ^ c", "(a ^ (-(b ^ c)))"),
        ("a ^ b ^ c * d", "((a ^ (b ^ c)) * d)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a + b == c - d", "((a + b) == (c - d))"),
        ("a if b < c else d if e else f", "(a if (b < c) else (d if e else f))"),
        ("a -> b + c -> d", "(a -> (b + c) -> d)"),
        ("a -> (b -> c) -> d", "(a -> (b -> c) -> d)"),
        ("a if b else c -> d", "((a if b else c) -> d)"),
        ("fc: A(1) + up: B ^ 2", "((fc: A(1)) + ((up: B) ^ 2))"),
        ("fc: A -> relu", "((fc: A) -> relu)"),
        ("-1 - -1", "((-1) - (-1))"),
    ],
)
def test_operators_bind_as_the_language_says(text: str, meant: str) -> None:
    assert shown(flow(text)) == meant


@pytest.mark.parametrize(
    ("text", "value"),
    [("50_257", 50257), ("0", 0), ("2.0", 2.0), ("1e-4", 1e-4), ("6E4", 60000.0), ("1_000.25", 1000.25)],
)
def test_numbers_keep_their_spelling_and_their_kind(text: str, value: float) -> None:
    number = flow(text)
    assert isinstance(number, tree.Number)
    assert (number.text, number.value, type(number.value)) == (text, value, type(value))


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.7%", 0.007), ("12.5%", 0.125), ("100%", 1.0)])
def test_percents_are_the_nearest_number(text: str, value: float) -> None:
    percent = flow(text)
    assert isinstance(percent, tree.Percent) and percent.value == value


def test_digits_in_a_path_are_parts_of_it() -> None:
    for text, parts in {"a.0.1": ("a", "0", "1"), "a.0.1.b.2": ("a", "0", "1", "b", "2"), "A.b": ("A", "b")}.items():
        stage = flow(text)
        assert isinstance(stage, tree.Stage) and stage.path.parts == parts


def test_no_parentheses_and_empty_ones_differ() -> None:
    bare, called = flow("BatchNorm"), flow("BatchNorm()")
    assert isinstance(bare, tree.Stage) and isinstance(called, tree.Stage)
    assert (bare.args, called.args) == (None, ())


def test_lines_end_at_newlines_outside_of_brackets() -> None:
    one = read("dlspec 1\nblock A {\n  f(a, b) -> [c, d] as e\n}\n")
    for text in (
        "dlspec 1\nblock A {\n  f(\n a,\n\n # note\n b\n )\n -> [c,\n d\n] as e\n}",
        "dlspec 1\r\nblock A { f(a, b)\r\n\r\n  # note -> x\r\n  -> [c, d] as e }\r\n",
        "\ufeff# first\ndlspec 1\nblock A {\tf(a, b)->[c, d,]\tas e}",
    ):
        assert read(text) == one
    (block,) = read("dlspec 1\nblock A { f({\n a\n b\n}) }\n").items
    assert isinstance(block, tree.Block) and isinstance(call := block.body.lines[0], tree.Stage)
    assert call.args and isinstance(body := call.args[0], tree.Body) and len(body.lines) == 2


def test_a_constant_has_its_exact_place() -> None:
    text = "dlspec 1\nblock A {\n\n  x = (a + b) * f(1)\n}\n"
    source = Source("spec.dlspec", text)
    file, _ = parse(source)
    spans = {type(node).__name__: node.span for node in tree.walk(file)}
    assert spans["Binding"].text == "x = (a + b) * f(1)"
    assert (spans["Binding"].line, spans["Binding"].column) == (4, 3)
    assert spans["Block"].text == text[9:-1]
    assert spans["File"].text == text
    binaries = [node.span.text for node in tree.walk(file) if isinstance(node, tree.Binary)]
    assert binaries == ["(a + b) * f(1)", "a + b"]


def check_places(text: str) -> None:
    """Every node stands where its text says the same, inside its parent and behind the one before."""
    source = Source("spec.dlspec", text)
    file, findings = parse(source)
    assert findings == []
    for node in tree.walk(file):
        end = node.span.start
        for child in tree.children(node):
            assert end <= child.span.start <= child.span.end <= node.span.end
            end = child.span.end
        if isinstance(node, tree.File):
            continue
        written = node.span.text
        assert written == written.strip()
        if isinstance(node, tree.Name | tree.Path):
            assert re.sub(r"\s|#.*", "", written) == str(node)
        elif isinstance(node, ITEMS):
            assert read(f"dlspec 1\n{written}\n").items == (node,)
        elif isinstance(node, tree.Shape):
            (block,) = read(f"dlspec 1\nblock A: (x: {written}\n) {{ }}\n").items
            assert isinstance(block, tree.Block) and block.signature and block.signature.inputs[0].shape == node
        elif isinstance(node, tree.Between):
            (block,) = read(f"dlspec 1\nblock A: [{written}\n] {{ }}\n").items
            assert isinstance(block, tree.Block) and block.signature
            assert block.signature.inputs[0].shape.dims == (node,)
        elif isinstance(node, LINES):
            (block,) = read(f"dlspec 1\nblock A {{{written}\n}}\n").items
            assert isinstance(block, tree.Block) and block.body.lines == (node,)
        elif not isinstance(node, PARTS):
            call = flow(f"f({written}\n)")
            assert isinstance(call, tree.Stage) and call.args == (node,)


def test_every_node_of_a_whole_spec_stands_in_its_place() -> None:
    check_places(WHOLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("seed", range(25))
def test_every_node_of_a_drawn_spec_stands_in_its_place(seed: int) -> None:
    draw = random.Random(seed)
    check_places(respaced(format(Drawer(draw, 3).file(), Source("nowhere", "")), draw))


def test_the_specs_of_the_design_are_read(shared: Path) -> None:
    specs = sorted((shared / "design" / "specs").glob("*.dlspec"))
    assert len(specs) >= 5
    for path in specs:
        read(path.read_text(encoding="utf-8"))


def test_the_samples_of_the_language_page_are_read(shared: Path) -> None:
    page = (shared / "design" / "language.md").read_text(encoding="utf-8")
    pieces = dict.fromkeys(re.findall(r"(?<!`)`([^`]+)`(?!`)", page))
    # What is no sample: alternatives, gaps, options without a value, command lines, signs and words by themselves.
    meta = re.compile(r"\||\.\.|=\s*[,)]|=$|^--|^[^\w\s]+$|^\w+(/|\.lark)$|^\.dlspec$|^random_\*$")
    words = {"default", "as", "if", "train GPT as finetune"}
    samples = [s for s in pieces if not meta.search(s) and s not in words and not all_words_or_signs(s)]
    assert len(samples) > 200
    places = ("{}", "dlspec 1\n{}\n", "dlspec 1\nblock A {{\n{}\n}}\n", "dlspec 1\nblock A: {} {{ }}\n")
    inside = ("dlspec 1\nx = f({})\n", "dlspec 1\nblock A {{\nx {}\n}}\n")
    unread = [s for s in samples if all(parse(Source("sample", p.format(s)))[1] for p in (*places, *inside))]
    assert unread == []


def all_words_or_signs(sample: str) -> bool:
    """Whether a piece is a list of words or signs: `+ - * /`, `sqrt exp log`."""
    parts = sample.split()
    return len(parts) > 1 and (all(p.isidentifier() for p in parts) or not any(c.isalnum() for c in sample))


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 200 + "1" + ")" * 200,
        "x = " + "f(" * 200 + "1" + ")" * 200,
        "x = " + "[" * 200 + "1" + "]" * 200,
        "x = " + "-" * 200 + "1",
        "x = " + " ^ ".join("1" * 200),
        "x = " + " + ".join("1" * 200),
        "x = " + "1 + (" * 200 + "1" + ")" * 200,
        "x = " + "1 if a else " * 200 + "1",
        "block A " + "{ residual " * 200 + "{ x }" + " }" * 200,
        "block A {\n" + "x: {\na\n" * 200 + "}\n" * 200 + "}",
        "x = " + " -> ".join("a" * 5000),
        "x = [" + ", ".join("a" * 5000) + "]",
    ],
    ids=range(12),
)
def test_two_hundred_levels_cost_no_recursion(text: str) -> None:
    source = Source("deep.dlspec", f"dlspec 1\n{text}\n")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(_frames()) + 60)
    try:
        file, findings = parse(source)
        laid_out = format(file, source)
        again = parse(Source("again.dlspec", laid_out))
        once_more = format(again[0], Source("again.dlspec", laid_out))
    finally:
        sys.setrecursionlimit(limit)
    assert findings == [] and again[1] == []
    assert once_more == laid_out


def _frames() -> list[object]:
    frames, frame = [], sys._getframe()
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


@pytest.mark.parametrize("nested", ["(", "[", "{", "f(", "1 + (", "- ", "a ^ ", "a + ", "a if b else ", "x: { y\n"])
def test_what_nests_beyond_all_measure_is_refused_by_itself(nested: str) -> None:
    closers = "".join({"(": ")", "[": "]", "{": "}"}.get(c, "") for c in nested) * 2000
    file, findings = parse(Source("deep.dlspec", f"dlspec 1\na = 1\nx = {nested * 2000}y{closers}\nb = 2\n"))
    assert [d.code for d in findings] == ["too-deep"]
    assert [item.name.text for item in file.items if isinstance(item, tree.Constant)] == ["a", "b"]


@pytest.mark.parametrize("sign", ["+", "*", "//", "<", "if b else"])
def test_a_long_sum_is_not_said_to_be_nested(sign: str) -> None:
    _, findings = parse(Source("long.dlspec", f"dlspec 1\nx = {f' {sign} '.join(['a'] * 10_000)}\n"))
    assert [d.message for d in findings] == ["one expression has more than 500 operators"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('<?xml version="1.0"?>\n<net name="resnet"/>\n', "XML"),
        ('<mxGraphModel dx="1422">\n  <root/>\n</mxGraphModel>\n', "XML"),
        ("<!DOCTYPE html>\n<html></html>\n", "HTML"),
        ('name: "LeNet"\nlayer {\n  name: "conv1"\n  type: "Convolution"\n}\n', "protobuf text"),
        ('layer { name: "conv1" type: "Convolution" }\n', "protobuf text"),
        ('ir_version: 8\ngraph {\n  node { op_type: "Relu" }\n}\n', "protobuf text"),
    ],
)
def test_markup_and_the_text_of_protocol_buffers_are_known(text: str, kind: str) -> None:
    _, (found,) = parse(Source("n.dlspec", text))
    assert found.message.startswith(f"this file is {kind}")


@pytest.mark.parametrize(
    "text",
    ["model Net: (x: [B, 4]) {\n  a: { b: Linear }\n}", "net {\n  fc: Linear\n  p: 0.5\n}", "train {\n  lr: 0.1\n}"],
)
def test_what_may_be_meant_as_a_spec_is_read_as_one(text: str) -> None:
    assert "other-format" not in {d.code for d in parse(Source("n.dlspec", text))[1]}


def test_long_specs_take_time_in_proportion() -> None:
    def work(lines: int) -> int:
        body = "".join(f"  fc{i}: Linear(64, bias = false) -> norm{i}: LayerNorm -> relu\n" for i in range(lines))
        source = Source("long.dlspec", f"dlspec 1\nmodel Long: (x: [B, 64]) -> (y: [B, 64]) {{\n{body}}}\n")
        count = 0

        def note(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            file, findings = parse(source)
        finally:
            sys.setprofile(None)
        (model,) = file.items
        assert findings == [] and isinstance(model, tree.Model) and len(model.body.lines) == lines
        return count

    short, long = work(300), work(3000)
    assert long < 10.5 * short


def test_ten_thousand_lines_are_read() -> None:
    text = "dlspec 1\n" + "".join(f"c{i} = [{i}, f(x = {i} + 1)]\n" for i in range(10_000))
    assert len(read(text).items) == 10_000
