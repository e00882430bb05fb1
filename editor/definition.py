"""Where a name is given."""

from __future__ import annotations

from ..grammar import tree
from ..grammar.source import Span
from .document import Document
from .imports import PYTHON, SPECS, Files, key, target
from .places import chain_at


def definition(document: Document, offset: int, files: Files) -> Span | None:
    """The place that gives the name at an offset, in this file or an imported one; of an import, the file's start."""
    mention = document.index.at(offset)
    if mention is not None:
        return mention.symbol.span
    for node in chain_at(document.file, offset):
        if isinstance(node, tree.Import):
            path = target(node, *SPECS, *PYTHON)
            sources = [*(read.source for _, read in files.imported(document.file)), *files.python(document.file)]
            return next((one.span(0, 0) for one in sources if path is not None and key(one.name) == key(path)), None)
        if isinstance(node, tree.Stage) and node.path.span.start <= offset <= node.path.span.end:
            signature = document.python.get(str(node.path))
            if signature is not None:
                return signature.place
    return None
