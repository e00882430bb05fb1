"""An `export` section: what to ship, a call a line."""

from __future__ import annotations

from dataclasses import dataclass

from ...grammar import tree
from ...grammar.source import Span
from ..semantics.evaluate import Scope
from ..semantics.report import Report
from .base import Options
from .calls import choose, read_call
from .formats.onnx import Onnx
from .formats.torchscript import TorchScript
from .language import EXPORTS

Format = Onnx | TorchScript


@dataclass(frozen=True)
class ExportPlan:
    """The files that are written of a model, in order."""

    model: str
    files: tuple[Format, ...]


def read_export(export: tree.Export, scope: Scope, report: Report) -> ExportPlan | None:
    """The plan of an `export` section, or None (reported). What only a later version writes is noted and left out."""
    own = Report()
    files: list[Format] = []
    paths: dict[str, Span] = {}
    for line in export.body.lines:
        found = _file(line, scope, own)
        if found is None:
            continue
        path, place = found
        if path.path in paths:
            message = f'two exports write "{path.path}"'
            first = ((paths[path.path], "written here first"),)
            own.error("conflict", message, place, "written again", help="give one of them another name", labels=first)
            continue
        paths[path.path] = place
        files.append(path)
    if not export.body.lines:
        help = 'such as `onnx("model.onnx")`'
        own.error("empty-body", "this section exports nothing", export.model.span, "no line here", help=help)
    for diagnostic in own.diagnostics:
        report.add(diagnostic)
    return None if own.failed else ExportPlan(export.model.text, tuple(files))


def _file(line: tree.Line, scope: Scope, report: Report) -> tuple[Format, Span] | None:
    if isinstance(line, tree.Binding | tree.Named | tree.Default | tree.Phase):
        help = 'a line is a call, such as `onnx("model.onnx")`'
        report.error("misplaced-line", "`export` says what to write, a call a line", line.span, "no call", help=help)
        return None
    chosen = choose(line, "export", "formats", Options, EXPORTS, scope, report)
    read = None if chosen is None else read_call(*chosen, report)
    if read is None or not isinstance(read.options, Onnx | TorchScript):
        return None
    return read.options, read.place("path")
