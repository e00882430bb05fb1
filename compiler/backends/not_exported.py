"""What a model may hold and a format has no form of: it trains all the same, and a check says what its export will."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...grammar.source import Span
from ..ir.beside import files_beside
from ..ir.graph import Apply, Graph, Momentum, Unit
from ..ir.reads import all_nodes
from ..ir.units import inside
from ..ir.view import view
from ..semantics.report import Report
from ..training.format import Format
from .pytorch.lending import lends


def check_exported(file: Format, line: Span, graph: Graph, report: Report) -> None:
    """Warns of a line of an `export` section that no file can be written for."""
    word = type(file).word
    if word == "onnx" and not files_beside(graph):  # PyTorch's exporter writes what has layers in Python
        outputs = [name for name, _ in getattr(file, "outputs", None) or ()] or graph.outputs
        missing = _no_onnx(graph, outputs)
        if missing is not None:
            able = ", ".join(name for name in graph.outputs if _no_onnx(graph, [name]) is None)
            help = f"`outputs = [{able}]` leaves it out" if able else '`torchscript("model.pt")` can'
            _warn(f"an ONNX file cannot hold {missing}", line, help, report)
    if word == "torchscript":
        lent = lends(graph.model)
        if lent is not None:
            message = f"a TorchScript file cannot hold a module that another part of the model runs: `{lent}`"
            _warn(message, line, '`onnx("model.onnx")` can', report)


def _warn(message: str, line: Span, help: str, report: Report) -> None:
    report.error("not-exportable", message, line, "cannot be written", help=help, severity="warning")


def _no_onnx(graph: Graph, outputs: Sequence[str]) -> str | None:
    """What these outputs need and ONNX has not."""
    unit = view(graph.model, [graph.outputs.index(name) for name in outputs])
    return next(_words(unit), None)


def _words(unit: Unit) -> Iterator[str]:
    for node in all_nodes(unit.nodes):
        if isinstance(node.op, Apply) and node.op.layer.no_onnx:
            yield node.op.layer.no_onnx
        module = unit.module(node.module) if node.module else None
        for inner in dict.fromkeys(inside(module.of if isinstance(module, Momentum) else module)):
            yield from _words(inner)
