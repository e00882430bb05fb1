"""What the tests of the language server share: a client of the protocol and a server of its own process."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

from dlspec.editor.positions import Lines

COMMAND = [sys.executable, "-m", "dlspec", "lsp"]
CURSOR = "|"


def capabilities(encodings: Sequence[str] | None = None) -> types.ClientCapabilities:
    """Those of an editor; `encodings` are the ways to count columns that it offers, UTF-16 where it says nothing."""
    general = types.GeneralClientCapabilities(
        position_encodings=[types.PositionEncodingKind(e) for e in encodings or ()]
    )
    return types.ClientCapabilities(general=general if encodings else None)


@dataclass
class Editor:
    """One document in a client, seen in offsets of its text."""

    client: LanguageClient
    uri: str
    text: str
    version: int = 1
    encoding: str = "utf-16"
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        item = types.TextDocumentItem(self.uri, "dlspec", self.version, self.text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, text: str) -> None:
        self.text, self.version = text, self.version + 1
        whole = types.TextDocumentContentChangeWholeDocument(text)
        document = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    @property
    def lines(self) -> Lines:
        return Lines(self.text, self.encoding)  # type: ignore[arg-type]

    def position(self, offset: int) -> types.Position:
        return types.Position(*self.lines.position(offset))

    def cut(self, where: types.Range) -> str:
        """The text of a range."""
        start, end = (self.lines.offset(p.line, p.character) for p in (where.start, where.end))
        return self.text[start:end]

    def edited(self, edits: Sequence[types.TextEdit]) -> str:
        """The text after edits, which an editor applies from the back."""
        text, lines = self.text, self.lines
        for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
            start, end = (lines.offset(p.line, p.character) for p in (edit.range.start, edit.range.end))
            text = text[:start] + edit.new_text + text[end:]
        return text

    async def findings(self) -> Sequence[types.Diagnostic]:
        """The diagnostics of the document as it is now: what was published for an older version is passed over."""
        while True:
            told = await self.client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
            if told.uri == self.uri and told.version == self.version:
                return told.diagnostics

    async def hover(self, offset: int) -> types.Hover | None:
        return await self.client.text_document_hover_async(types.HoverParams(self.document, self.position(offset)))

    async def hover_text(self, word: str) -> str:
        """What is shown over the first place where a pattern stands, at the end of the match."""
        match = re.search(word, self.text)
        assert match is not None, word
        shown = await self.hover(match.end() - 1)
        assert shown is not None, word
        assert isinstance(shown.contents, types.MarkupContent)
        return shown.contents.value


def marked(text: str) -> tuple[str, int]:
    """A text without its cursor, and where that was."""
    return text.replace(CURSOR, "", 1), text.index(CURSOR)


@pytest_lsp.fixture(config=ClientServerConfig(server_command=COMMAND), scope="module")
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    await lsp_client.initialize_session(types.InitializeParams(capabilities=capabilities()))
    yield
    await lsp_client.shutdown_session()
