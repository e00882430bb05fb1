"""The language server: requests and notices of an editor, each answered by a function of this folder."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from .. import __version__
from .completion import complete
from .definition import definition
from .desk import PAUSE, Desk
from .documentation import load
from .formatting import layout
from .hover import hover
from .imports import key
from .outline import outline
from .protocol import (
    completion_list,
    document_symbol,
    location,
    offset_at,
    quick_fixes,
    range_of,
    text_edit,
)
from .rename import Refusal, renamable, rename


def make_server() -> LanguageServer:
    """The server with all that it answers, not yet listening."""
    # The whole text comes with each edit: what counts as a line is then no matter of who counts.
    server = LanguageServer("dlspec", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
    desk = Desk(server)
    _follow_documents(server, desk)
    _answer(server, desk)
    _edit(server, desk)
    return server


def _follow_documents(server: LanguageServer, desk: Desk) -> None:
    @server.feature(types.INITIALIZED)
    async def initialized(params: types.InitializedParams) -> None:
        await asyncio.to_thread(load)

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

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def changed_on_disk(params: types.DidChangeWatchedFilesParams) -> None:
        desk.reread_imports()


def _answer(server: LanguageServer, desk: Desk) -> None:
    """What is asked about a place or a document."""

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hovered(params: types.HoverParams) -> types.Hover | None:
        document = desk.document(params.text_document.uri)
        card = hover(document, offset_at(document, params.position), desk.analysed.get(document.uri))
        if card is None:
            return None
        text = types.MarkupContent(types.MarkupKind.Markdown, card.text)
        return types.Hover(text, range_of(document.lines, card.span.start, card.span.end))

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "(", "["]))
    def completed(params: types.CompletionParams) -> types.CompletionList | None:
        document = desk.document(params.text_document.uri)
        offset = offset_at(document, params.position)
        found = complete(document, offset, desk.analysed.get(document.uri))
        return None if found is None else completion_list(found, document, offset)

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def defined(params: types.DefinitionParams) -> types.Location | None:
        document = desk.document(params.text_document.uri)
        span = definition(document, offset_at(document, params.position), desk.files)
        return None if span is None else location(span, document)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def outlined(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        document = desk.document(params.text_document.uri)
        return [document_symbol(entry, document) for entry in outline(document.file)]


def _edit(server: LanguageServer, desk: Desk) -> None:
    """What gives edits."""

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatted(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        document = desk.document(params.text_document.uri)
        return [text_edit(document.lines, edit) for edit in layout(document)]

    actions = types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll])

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, actions)
    async def acted(params: types.CodeActionParams) -> list[types.CodeAction]:
        found = await desk.analyse(params.text_document.uri)
        if found is None:
            return []
        document = found.document
        start, end = offset_at(document, params.range.start), offset_at(document, params.range.end)
        # All of a document is mended by a quick fix too: what editors run on saving is for those who ask for it.
        wanted = params.context.only or [types.CodeActionKind.QuickFix]
        offered = quick_fixes(found.analysis.diagnostics, document, start, end)
        return [action for action in offered if any(_is_kind(action.kind or "", kind) for kind in wanted)]

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepared(params: types.PrepareRenameParams) -> types.Range:
        document = desk.document(params.text_document.uri)
        try:
            span = renamable(document, offset_at(document, params.position))
        except Refusal as refusal:
            raise JsonRpcInvalidParams(str(refusal)) from None
        return range_of(document.lines, span.start, span.end)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    async def renamed(params: types.RenameParams) -> types.WorkspaceEdit:
        document = desk.document(params.text_document.uri)
        offset = offset_at(document, params.position)
        known = desk.analysed.get(document.uri)
        if known is not None and known.document is not document:
            known = None
        try:
            # In a thread, so that other questions are answered meanwhile.
            importers = [one for one in desk.importers(key(document.source.name)) if one is not document]
            made = await asyncio.to_thread(rename, document, offset, params.new_name, known, importers)
            # Most texts have no errors: then nobody need know those before.
            before = {one.document.uri: await desk.analyse(one.document.uri) for one in made if one.errors}
            if any(desk.documents.get(one.document.uri) is not one.document for one in made):
                raise Refusal("The text has changed in the meantime: try again")
            for one in made:
                if (was := before.get(one.document.uri)) is not None:
                    one.check(was)
        except Refusal as refusal:
            raise JsonRpcInvalidParams(str(refusal)) from None
        return types.WorkspaceEdit(
            {one.document.uri: [text_edit(one.document.lines, edit) for edit in one.edits] for one in made}
        )


def _is_kind(kind: str, wanted: str) -> bool:
    """Whether a kind of action is the wanted one or below it, as `source.fixAll` is below `source`."""
    return (kind + ".").startswith(wanted + ".")


def serve() -> None:
    """Answer an editor on standard input and output until it says goodbye."""
    # A collection takes a tenth of a second, which an answer would wait for: `Desk` has them in the pauses.
    gc.disable()
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_no_refusal)
    # The server closes what it writes to at the end of a session, and the process flushes its own output after that.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
        make_server().start_io(stdout=output)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether a record tells of anything but a question that was answered with a refusal: editors show tracebacks."""
    return record.exc_info is None or not isinstance(record.exc_info[1], JsonRpcInvalidParams)
