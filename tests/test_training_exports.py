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
        ("  onnx(\"a\", verison = 3)", "unknown-option", "verison", "`onnx` has no option"),
        ("  torchscript(\"a\", 3)", "too-many-arguments", "3", "one option"),
        ("  path = \"a\"", "misplaced-line", 'path = "a"', "a call a line"),
        ("  onnx(\"a\")\n  onnx(\"a\")", "conflict", '"a"', "another name"),
        ("  \"a.onnx\"", "wrong-value", '"a.onnx"', "takes a format to export to"),
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
    [("outputs", "[output]"), ("opset", "20"), ("cache", "true"), ("quantize", "int8"), ("profile", "compat")],
)
def test_what_a_later_version_writes_is_noted(option: str, value: str) -> None:
    plan, diagnostics = read_exports(f'  onnx("a.onnx", {option} = {value})')
    assert [d.code for d in diagnostics] == ["not-in-this-version"]
    assert f"`{option}` of `onnx`" in diagnostics[0].message
    assert plan is not None and len(plan.files) == 1


@pytest.mark.parametrize(
    ("option", "value"), [("opset", "23"), ("cache", "false"), ("quantize", "none"), ("profile", "onnx")]
)
def test_what_asks_for_nothing_is_taken(option: str, value: str) -> None:
    assert read_exports(f'  onnx("a.onnx", {option} = {value})')[1] == []
