"""Where a name is given."""

from __future__ import annotations

from ..grammar import tree
from ..grammar.source import Span
from .document import Document
from .imports import Files, key, target
from .places import chain_at


def definition(document: Document, offset: int, files: Files) -> Span | None:
    """The place that gives the name at an offset, in this file or an imported one; of an import, the file's start."""
    mention = document.index.at(offset)
    if mention is not None:
        return mention.symbol.span
    for node in chain_at(document.file, offset):
        if isinstance(node, tree.Import):
            path = target(node)
            return (
                None
                if path is None
                else next((r.source.span(0, 0) for k, r in files.imported(document.file) if k == key(path)), None)
            )
    return None
