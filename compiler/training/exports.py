"""An `export` section: what to ship, a call a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath, PureWindowsPath

from ...grammar import tree
from ...grammar.diagnostics import Fix
from ...grammar.frozen import Frozen
from ...grammar.source import Span
from ..ir.graph import Apply, Borrowed, Graph, Unit, all_nodes
from ..ir.units import made_of, units_in
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


def check_forms(plan: ExportPlan, export: tree.Export, graph: Graph, report: Report) -> None:
    """Warns of each line that no file can be written for: the model trains all the same."""
    for file, line in zip(plan.files, export.body.lines, strict=True):
        _check_form(file, line.span, graph, report)


def _check_form(file: Format, line: Span, graph: Graph, report: Report) -> None:
    if type(file).word == "torchscript":
        lent = lends(graph.model)
        if lent is not None:
            message = f"a TorchScript file cannot hold a module that another part of the model runs: `{lent}`"
            _warn(message, line, '`onnx("model.onnx")` can', report)
    elif type(file).word == "onnx" and next(_no_onnx(graph.model), None) is not None:
        from ..ir.beside import files_beside  # most models have nothing of the kind, and their check is to be quick

        if files_beside(graph):
            return  # PyTorch's exporter writes those with layers in Python
        asked = [name for name, _ in getattr(file, "outputs", None) or ()] or graph.outputs
        missing = _needed(graph, asked)
        if missing is not None:
            able = ", ".join(name for name in graph.outputs if _needed(graph, [name]) is None)
            help = f"`outputs = [{able}]` leaves it out" if able else '`torchscript("model.pt")` can'
            _warn(f"an ONNX file cannot hold {missing}", line, help, report)


def lends(unit: Unit) -> str | None:
    """The name of a module that a unit inside is handed, which TorchScript cannot do; None where each runs its own."""
    for inner in units_in(unit):
        for module in inner.modules:
            if isinstance(module, Borrowed) and module.up:
                return next(part for part in reversed(module.path) if not part.isdecimal())
    return None


def _warn(message: str, line: Span, help: str, report: Report) -> None:
    report.error("not-exportable", message, line, "cannot be written", help=help, severity="warning")


def _needed(graph: Graph, outputs: Sequence[str]) -> str | None:
    """What these outputs need and ONNX has not."""
    from ..ir.view import view

    return next(_no_onnx(view(graph.model, [graph.outputs.index(name) for name in outputs])), None)


def _no_onnx(unit: Unit) -> Iterator[str]:
    for node in all_nodes(unit.nodes):
        if isinstance(node.op, Apply) and node.op.layer.no_onnx:
            yield node.op.layer.no_onnx
        module = unit.module(node.module) if node.module else None
        for inner in dict.fromkeys(made_of(module)):
            yield from _no_onnx(inner)
