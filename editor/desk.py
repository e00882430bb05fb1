"""The open documents: the text as it is, the last analysis, and the check that is under way."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field, replace

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from ..compiler.pipeline import analyse
from ..grammar import Source, tree
from .document import Analysed, Document
from .imports import Files, key
from .protocol import diagnostics, encoding_of

IDLE = 1.0
"""Seconds without an edit, after the findings, until garbage is collected."""
PAUSE = 0.15
"""Seconds without a keystroke before a document is checked."""


@dataclass(eq=False)
class Desk:
    """Documents, analyses and checks by the address of the document."""

    server: LanguageServer
    files: Files = field(default_factory=Files)
    documents: dict[str, Document] = field(default_factory=dict)
    analysed: dict[str, Analysed] = field(default_factory=dict)
    _checks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _running: dict[str, tuple[Document, asyncio.Future[Analysed]]] = field(default_factory=dict)

    def put(self, uri: str, version: int | None, text: str, pause: float) -> None:
        """A document was opened or changed: what was under way for its older text is given up."""
        encoding = encoding_of(self.server.workspace.position_encoding)
        source = Source(_name(uri), text)
        before = self.documents.get(uri)
        known = None if before is None else before.known
        self.documents[uri] = Document(uri, version, source, encoding, self.files, known)
        self.files.opened[key(source.name)] = source
        self._check_soon(uri, pause)
        self._reread_importers(key(source.name))

    def document(self, uri: str) -> Document:
        """A document that is open. Raises JsonRpcInvalidParams: a question may come after its document was closed."""
        if uri not in self.documents:
            raise JsonRpcInvalidParams(f"{_name(uri)} is not open")
        return self.documents[uri]

    def close(self, uri: str) -> None:
        self._give_up(uri)
        document = self.documents.pop(uri, None)
        self.analysed.pop(uri, None)
        if document is not None:
            self.files.opened.pop(key(document.source.name), None)
            self._reread_importers(key(document.source.name))
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def reread_imports(self) -> None:
        """Files were written, made or taken away on the disk: what imports any of them is checked again."""
        for uri, document in list(self.documents.items()):
            if any(isinstance(item, tree.Import) for item in document.file.items):
                self.documents[uri] = replace(document)
                self._check_soon(uri, PAUSE)

    def importers(self, path: str) -> list[Document]:
        """The open documents that lead to a file, given by its key, by their imports."""
        documents = list(self.documents.values())
        return [one for one in documents if any(path == other for other, _ in self.files.imported(one.file))]

    def _reread_importers(self, changed: str) -> None:
        """The documents that import a file have other names in sight when it changes."""
        for document in self.importers(changed):
            self.documents[document.uri] = replace(document)
            self._check_soon(document.uri, PAUSE)

    def _check_soon(self, uri: str, pause: float) -> None:
        self._give_up(uri)
        self._checks[uri] = asyncio.ensure_future(self._check(uri, pause))

    def _give_up(self, uri: str) -> None:
        check = self._checks.pop(uri, None)
        if check is not None:
            check.cancel()

    async def _check(self, uri: str, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            found = await self.analyse(uri)
        except Exception as bug:
            # What was told before stays; all that needs no analysis goes on.
            told = f"this is a bug of dlspec: {type(bug).__name__} while the file was checked"
            self.server.window_log_message(types.LogMessageParams(types.MessageType.Error, told))
            return
        if found is None:
            return
        told = list(diagnostics(found.analysis.diagnostics, found.document))
        version = found.document.version
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, told, version))
        await asyncio.sleep(IDLE)  # ended by the next edit
        gc.collect()

    async def analyse(self, uri: str) -> Analysed | None:
        """The analysis of a document as it is now; None where it was closed or changed in the meantime."""
        document = self.documents.get(uri)
        if document is None:
            return None
        known = self.analysed.get(uri)
        if known is not None and known.document is document:
            return known
        while (running := self._running.get(uri)) is not None and running[0] is not document:
            # One at a time: two would share a processor, and answers would wait for both.
            await asyncio.wait([running[1]])
            if self.documents.get(uri) is not document:
                return None
            if self._running.get(uri) is running:
                del self._running[uri]
        if running is None:
            # In a thread, so that other questions are answered meanwhile; whoever else asks waits for this one.
            running = document, asyncio.ensure_future(asyncio.to_thread(_analysed, document))
            self._running[uri] = running
        found = await asyncio.shield(running[1])
        if self.documents.get(uri) is not document:
            return None
        self.analysed[uri] = found
        return found


def _analysed(document: Document) -> Analysed:
    return Analysed(document, analyse(document.source, read=document.files.read))


def _name(uri: str) -> str:
    """What messages call a document: its path, or its address where it lies in no file."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return path if path is not None else f"<{uri}>"
