"""An `export` section: what to ship, a call a line."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..semantics.report import Report
from ..semantics.resolve import FileScope
from .calls import choose, read_call
from .format import Format
from .language import EXPORTS
from .read import settled


class ExportPlan(Frozen):
    """The files that are written of a model, in order."""

    model: str
    files: tuple[Format, ...]


def read_export(export: tree.Export, scope: FileScope, report: Report) -> ExportPlan | None:
    """The plan of an `export` section, or None (reported). What this version cannot write is checked, and noted."""
    own = Report()
    files: list[Format] = []
    paths: dict[str, Span] = {}
    for line in export.body.lines:
        found = _file(line, export.model.text, scope, own)
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
    for diagnostic in settled(own, export.body):
        report.add(diagnostic)
    return None if own.failed else ExportPlan(export.model.text, tuple(files))


def _file(line: tree.Line, model: str, scope: FileScope, report: Report) -> tuple[Format, Span] | None:
    if isinstance(line, tree.Binding | tree.Named | tree.Default | tree.Phase):
        message, help = "a line of `export` is a call that writes a file", 'such as `onnx("model.onnx")`'
        report.error("misplaced-line", message, line.span, "no call", help=help)
        return None
    chosen = choose(line, "export", "formats", Format, EXPORTS, scope, report)
    read = None if chosen is None else read_call(*chosen, report)
    if read is None:
        return None
    outputs = getattr(read.options, "outputs", None) or ()
    fits = [_is_output(name, place, model, scope, report) for name, place in outputs]
    fits.append(_is_name(read.options.path, read.place("path"), report))
    return (read.options, read.place("path")) if all(fits) else None


def _is_name(path: str, place: Span, report: Report) -> bool:
    """Whether a path is the name of a file, or of a folder (`models/`), where the export is written."""
    name = PurePosixPath(PureWindowsPath(path).as_posix()).name
    if path.removesuffix("/") == name and name != "..":
        return True
    message = "an export is given the name of a file, without a folder: `dlspec export -o` says the folder"
    named = f'"{name}"' if name not in ("", "..") else ""
    fixes = (Fix(place, named),) if named and place.text == f'"{path}"' else ()
    help = f"write `{named}`" if named else 'such as `"model.onnx"`'
    report.error("wrong-value", message, place, "names a folder", help=help, fixes=fixes)
    return False


def _is_output(name: str, place: Span, model: str, scope: FileScope, report: Report) -> bool:
    """Whether the model has an output of that name; which it has not, where it is not known."""
    item = scope.models.get(model)
    if item is None or item.signature.outputs is None:
        return True
    outputs = [port.name.text for port in item.signature.outputs if port.name is not None]
    if name not in outputs:
        report.unknown("output", name, place, outputs, where=f" of {model}", imported=False)
    return name in outputs
