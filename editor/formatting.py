"""The one layout of the language as edits of a document."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from ..grammar import Fix, format
from ..grammar.printer import KnownLines
from .document import Document
from .reparse import read

_lines: KnownLines = {}
"""What an editor lays out again and again; begun anew where it has become long."""
_MOST = 20_000


def layout(document: Document) -> list[Fix]:
    """Edits that lay a document out; none where it cannot be read whole. Its line ends stay as they are."""
    reading = document.reading if document.reading.sound else read(document.source)
    if not reading.sound:
        return []
    if len(_lines) > _MOST:
        _lines.clear()
    laid_out = format(reading.file, document.source, _lines)
    if "\r\n" in document.text:
        laid_out = laid_out.replace("\n", "\r\n")
    return list(_edits(document, laid_out))


def _edits(document: Document, text: str) -> Iterator[Fix]:
    """What differs, a run of lines at a time, so that an editor keeps its cursor and folds elsewhere."""
    before, after = document.text.splitlines(keepends=True), text.splitlines(keepends=True)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    for what, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what != "equal":
            yield Fix(document.source.span(starts[a], starts[b]), "".join(after[c:d]))
