"""`table(houses.csv, target = price)`: names of files and columns stand in quotes."""

from __future__ import annotations

from ...grammar import tree
from ...grammar.diagnostics import Diagnostic
from ..training import registry
from ..training.source import DataSource
from .around import Nodes, instead


def name_in_quotes(finding: Diagnostic, nodes: Nodes) -> Diagnostic | None:
    """A word that stands where a source of data takes a text, or a list of texts."""
    for node in reversed(nodes):
        source = registry.find("data", str(node.path), DataSource) if isinstance(node, tree.Stage) else None
        if source is None or not isinstance(node, tree.Stage):
            continue
        for place, arg in enumerate(node.args or ()):
            if arg.span.start <= finding.span.start < arg.span.end:
                names = list(source.options)[place : place + 1]
                option = arg.name.text if isinstance(arg, tree.Keyword) else next(iter(names), "")
                text = f'"{finding.span.text}"'
                return instead(finding, text) if _takes_text(source, option) else None
    return None


def _takes_text(source: type[DataSource], option: str) -> bool:
    field = source.options.get(option)
    if field is None or field.kind is None or field.kind.words:
        return False
    try:
        field.kind.check("name")
    except ValueError:
        return False
    return True
