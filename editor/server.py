"""The language server: requests and notices of an editor, each answered by a function of this folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from .. import __version__
from ..compiler.pipeline import analyse
from ..grammar import Source
from .document import Analysed, Document
from .formatting import layout
from .hover import hover
from .protocol import diagnostic, encoding_of, offset_at, quick_fixes, range_of, text_edit

PAUSE = 0.15
"""Seconds without a keystroke before a document is checked."""


@dataclass(eq=False)
class Desk:
    """The open documents by address: the text as it is, the last analysis, and the check that is under way."""

    server: LanguageServer
    documents: dict[str, Document] = field(default_factory=dict)
    analysed: dict[str, Analysed] = field(default_factory=dict)
    checks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def put(self, uri: str, version: int | None, text: str, pause: float) -> None:
        """A document was opened or changed: what was under way for its older text is given up."""
        encoding = encoding_of(self.server.workspace.position_encoding)
        self.documents[uri] = Document(uri, version, Source(_name(uri), text), encoding)
        self._give_up(uri)
        self.checks[uri] = asyncio.ensure_future(self._check(uri, pause))

    def close(self, uri: str) -> None:
        self._give_up(uri)
        self.documents.pop(uri, None)
        self.analysed.pop(uri, None)
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def _give_up(self, uri: str) -> None:
        check = self.checks.pop(uri, None)
        if check is not None:
            check.cancel()

    async def _check(self, uri: str, pause: float) -> None:
        await asyncio.sleep(pause)
        found = await self.analyse(uri)
        if found is None:
            return
        document = found.document
        told = [diagnostic(d, document) for d in found.analysis.diagnostics if d.span.source is document.source]
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, told, document.version))

    async def analyse(self, uri: str) -> Analysed | None:
        """The analysis of a document as it is now; None where it was closed or changed in the meantime."""
        document = self.documents.get(uri)
        known = self.analysed.get(uri)
        if document is None or (known is not None and known.document is document):
            return known
        analysis = await asyncio.to_thread(analyse, document.source)
        if self.documents.get(uri) is not document:
            return None
        self.analysed[uri] = Analysed(document, analysis)
        return self.analysed[uri]


def _name(uri: str) -> str:
    """What messages call a document: its path, or its address where it lies in no file."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    return path if path is not None else f"<{uri}>"


def make_server() -> LanguageServer:
    """The server with all that it answers, not yet listening."""
    server = LanguageServer("dlspec", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
    desk = Desk(server)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        it = params.text_document
        desk.put(it.uri, it.version, it.text, 0)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        it = params.text_document
        desk.put(it.uri, it.version, params.content_changes[-1].text, PAUSE)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: types.DidCloseTextDocumentParams) -> None:
        desk.close(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hovered(params: types.HoverParams) -> types.Hover | None:
        document = desk.documents[params.text_document.uri]
        card = hover(document, offset_at(document, params.position), desk.analysed.get(document.uri))
        if card is None:
            return None
        text = types.MarkupContent(types.MarkupKind.Markdown, card.text)
        return types.Hover(text, range_of(document.lines, card.span.start, card.span.end))

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatted(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        document = desk.documents[params.text_document.uri]
        return [text_edit(document.lines, edit) for edit in layout(document)]

    actions = types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll])

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, actions)
    async def acted(params: types.CodeActionParams) -> list[types.CodeAction]:
        found = await desk.analyse(params.text_document.uri)
        if found is None:
            return []
        document = found.document
        start, end = offset_at(document, params.range.start), offset_at(document, params.range.end)
        wanted = params.context.only
        actions = quick_fixes(found.analysis.diagnostics, document, start, end)
        return [action for action in actions if wanted is None or action.kind in wanted]

    return server


def serve() -> None:
    """Answer an editor on standard input and output until it says goodbye."""
    make_server().start_io()
