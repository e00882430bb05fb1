"""An `export` section."""

from __future__ import annotations

import pytest
from training_cases import read_exports

pytestmark = pytest.mark.no_torch


def test_files_are_planned_in_order() -> None:
    plan, diagnostics = read_exports('  onnx("a.onnx")\n  torchscript("a.pt")\n  onnx("b.onnx", opset = 23)')
    assert diagnostics == []
    assert plan is not None
    assert plan.model == "Line"
    assert [(file.word, file.path) for file in plan.files] == [
        ("onnx", "a.onnx"),
        ("torchscript", "a.pt"),
        ("onnx", "b.onnx"),
    ]


@pytest.mark.parametrize(
    ("lines", "code", "caret", "says"),
    [
        ("  onx(\"a\")", "unknown-name", "onx", "write `onnx`"),
        ("  jit(\"a\")", "unknown-name", "jit", "write `torchscript`"),
        ("  onnx", "missing-option", "onnx", "`onnx` needs `path`"),
        ("  onnx(3)", "wrong-value", "3", "the path of a file"),
        ("  onnx(\"\")", "wrong-value", '""', "the path of a file"),
        ("  onnx(\"../bd.onnx\")", "wrong-value", '"../bd.onnx"', 'write `"bd.onnx"`'),
        ("  onnx(\"/etc/a.onnx\")", "wrong-value", '"/etc/a.onnx"', 'write `"a.onnx"`'),
        ("  torchscript(\"out\\a.pt\")", "wrong-value", '"out\\a.pt"', 'write `"a.pt"`'),
        ("  torchscript(\"..\")", "wrong-value", '".."', "without a folder"),
        ("  onnx(\"./\")", "wrong-value", '"./"', "without a folder"),
        ("  onnx(\"a\", opset = 3)", "wrong-value", "3", "from 17 to 25"),
        ("  onnx(\"a\", opset = 20.5)", "wrong-value", "20.5", "from 17 to 25"),
        ("  onnx(\"a\", outputs = [outputs])", "unknown-name", "outputs", "write `output`"),
        ("  onnx(\"a\", outputs = [x])", "unknown-name", "x", "no output `x` of Line"),
        ("  onnx(\"a\", outputs = [])", "wrong-value", "[]", "an empty list"),
        ("  onnx(\"a\", outputs = [3])", "wrong-value", "3", "names of outputs"),
        ("  onnx(\"a\", outputs = [output, output])", "repeated-name", "output", "once more"),
        ("  onnx(\"a\", cache = 1)", "wrong-value", "1", "true or false"),
        ("  onnx(\"a\", quantize = int88)", "unknown-name", "int88", "write `int8`"),
        ("  onnx(\"a\", quantize = 8)", "wrong-value", "8", "`fp16`, `int4`, `int8`"),
        ("  onnx(\"a\", profile = ort)", "unknown-name", "ort", "`compat`, `genai`, `onnx`"),
        ("  onnx(\"a\", profile = genai)", "conflict", "genai", "write `cache = true` too"),
        ("  onnx(\"a\", profile = compat, opset = 25)", "conflict", "25", "take 23 or less"),
        ("  onnx(\"a\", opset_version = 20)", "unknown-option", "opset_version", "write `opset`"),
        ("  pt2", "missing-option", "pt2", "`pt2` needs `path`"),
        ("  bundle(\"models/\", server = trton)", "unknown-name", "trton", "write `triton`"),
        ("  onnx(\"a\", verison = 3)", "unknown-option", "verison", "`onnx` has no option"),
        ("  torchscript(\"a\", 3)", "too-many-arguments", "3", "one option"),
        ("  path = \"a\"", "misplaced-line", 'path = "a"', "a call that writes a file"),
        ("  onnx(\"a\")\n  onnx(\"a\")", "conflict", '"a"', "another name"),
        ("  \"a.onnx\"", "wrong-value", '"a.onnx"', "takes an export format"),
        ("", "empty-body", "Line", "exports nothing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(lines: str, code: str, caret: str, says: str) -> None:
    plan, diagnostics = read_exports(lines)
    (diagnostic,) = diagnostics
    assert plan is None
    assert (diagnostic.code, diagnostic.span.text) == (code, caret)
    assert says in f"{diagnostic.message} {diagnostic.label} {diagnostic.help}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("opset", "20"),
        ("cache", "true"),
        ("quantize", "int8"),
        ("profile", "compat"),
    ],
)
def test_what_a_later_version_writes_is_noted(option: str, value: str) -> None:
    plan, diagnostics = read_exports(f'  onnx("a.onnx", {option} = {value})')
    assert [(d.code, d.severity) for d in diagnostics] == [("not-in-this-version", "note")]
    assert "of `onnx`" in diagnostics[0].message
    assert plan is not None and len(plan.files) == 1


def test_all_mistakes_of_a_section_are_told() -> None:
    plan, diagnostics = read_exports(
        '  onnx("a.onnx", opset = 3, cach = true)\n  pt2(3)\n  bundle("models/")\n  torchscrip("b")'
    )
    assert plan is None
    assert [d.code for d in diagnostics if d.severity == "error"] == [
        "wrong-value",
        "unknown-option",
        "wrong-value",
        "unknown-name",
    ]
    assert [d.message.split(" ")[0] for d in diagnostics if d.severity == "note"] == ["`bundle`"]


@pytest.mark.parametrize(
    ("option", "value"), [("opset", "23"), ("cache", "false"), ("quantize", "none"), ("profile", "onnx")]
)
def test_what_asks_for_nothing_is_taken(option: str, value: str) -> None:
    assert read_exports(f'  onnx("a.onnx", {option} = {value})')[1] == []
