"""What the tests of the language server share: a document in a client of the protocol, seen in offsets of its text."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest_asyncio
import pytest_lsp
from lsprotocol import types
from pygls.protocol import default_converter
from pytest_lsp import ClientServerConfig, LanguageClient
from pytest_lsp.client import DEFAULT_CLIENT_FEATURES, register_lsp_features

from dlspec.editor.positions import Encoding, Lines


class EditorClient(LanguageClient):
    """A client that keeps every publication of diagnostics, in order: versions matter."""

    def __init__(self) -> None:
        super().__init__(converter_factory=default_converter)
        self.published: list[types.PublishDiagnosticsParams] = []
        self.heard = asyncio.Event()
        register_lsp_features(self, {**DEFAULT_CLIENT_FEATURES, types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS: _published})


def _published(client: EditorClient, told: types.PublishDiagnosticsParams) -> None:
    client.published.append(told)
    client.heard.set()


SERVER = ClientServerConfig(server_command=[sys.executable, "-m", "dlspec", "lsp"], client_factory=EditorClient)

GPT = """dlspec 1
# A small GPT.
vocab = 256
context = 32
dim = 4 * 8
heads = 4

default residual(pre = LayerNorm, drop = 0.1)

# Two layers.
block Mlp(hidden) {
  fc: Linear(hidden) -> gelu(approximate = tanh) -> proj: Linear(dim)
}

model GPT: (tokens: int[B, T <= context]) -> (logits: [B, T, vocab]) {
  wte: Embedding(vocab, dim) + wpe: Positions(context, dim)
  blocks: repeat(2) {
    residual { attn: SelfAttention(heads, causal = true) }
    residual { mlp: Mlp(4 * dim) }
  }
  norm: LayerNorm
  head: Linear(vocab, bias = false, weight = wte.weight)
}

train GPT {
  data = text("*.txt", window = context)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  schedule = warmup(10) -> cosine(to = 10%)
  freeze = ["blocks.*.attn_norm", wte]
  rates = [head = 0.1, blocks.0.mlp.fc = 2]
  steps = 100
  batch = 8
}

export GPT {
  onnx("gpt.onnx")
}
"""


def capabilities(encodings: Sequence[str] = ()) -> types.ClientCapabilities:
    """Those of an editor; `encodings` are the ways to count columns that it offers, UTF-16 where it says nothing."""
    offered = [types.PositionEncodingKind(name) for name in encodings]
    markdown = [types.MarkupKind.Markdown]
    item = types.ClientCompletionItemOptions(documentation_format=markdown)
    shown = types.TextDocumentClientCapabilities(
        completion=types.CompletionClientCapabilities(completion_item=item),
        hover=types.HoverClientCapabilities(content_format=markdown),
    )
    general = types.GeneralClientCapabilities(position_encodings=offered or None)
    return types.ClientCapabilities(text_document=shown, general=general)


@dataclass
class Editor:
    """One document in a client."""

    client: EditorClient
    uri: str
    text: str
    version: int = 1
    encoding: Encoding = "utf-16"

    def open(self) -> Editor:
        item = types.TextDocumentItem(self.uri, "dlspec", self.version, self.text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return self

    async def close(self) -> None:
        """Close the document, and wait until the server has taken its findings back."""
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(self.document))
        await self.published(None)

    def change(self, text: str) -> None:
        self.text, self.version = text, self.version + 1
        whole = types.TextDocumentContentChangeWholeDocument(text)
        document = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [whole]))

    # --- places ---------------------------------------------------------------------------------------------------

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    @property
    def lines(self) -> Lines:
        return Lines(self.text, self.encoding)

    def position(self, offset: int) -> types.Position:
        return types.Position(*self.lines.position(offset))

    def offsets(self, where: types.Range) -> tuple[int, int]:
        start, end = (self.lines.offset(p.line, p.character) for p in (where.start, where.end))
        return start, end

    def cut(self, where: types.Range) -> str:
        """The text of a range."""
        start, end = self.offsets(where)
        return self.text[start:end]

    def edited(self, edits: Sequence[types.TextEdit]) -> str:
        """The text after edits, which an editor applies from the back."""
        text = self.text
        for edit in sorted(edits, key=lambda edit: self.offsets(edit.range), reverse=True):
            start, end = self.offsets(edit.range)
            text = text[:start] + edit.new_text + text[end:]
        return text

    def after(self, pattern: str) -> types.Position:
        """The position behind the first match of a pattern."""
        match = re.search(pattern, self.text)
        assert match is not None, pattern
        return self.position(match.end())

    # --- questions ------------------------------------------------------------------------------------------------

    async def findings(self) -> Sequence[types.Diagnostic]:
        """The diagnostics of the document as it is now: what was published for an older version is passed over."""
        return await self.published(self.version)

    async def published(self, version: int | None) -> Sequence[types.Diagnostic]:
        """The last diagnostics of a version, waited for where they have not come yet."""
        while True:
            self.client.heard.clear()
            for told in reversed(self.client.published):
                if told.uri == self.uri:
                    if told.version == version:
                        return told.diagnostics
                    break
            await asyncio.wait_for(self.client.heard.wait(), timeout=60)

    async def hover(self, pattern: str) -> types.Hover | None:
        """What is shown over the end of a pattern's first match."""
        params = types.HoverParams(self.document, self.after(pattern))
        return await self.client.text_document_hover_async(params)

    async def hover_text(self, pattern: str) -> str:
        shown = await self.hover(pattern)
        assert shown is not None, pattern
        assert isinstance(shown.contents, types.MarkupContent)
        return shown.contents.value

    async def items(self, pattern: str) -> dict[str, types.CompletionItem]:
        """What is offered behind the first match of a pattern, in order."""
        params = types.CompletionParams(self.document, self.after(pattern))
        found = await self.client.text_document_completion_async(params)
        if found is None:
            return {}
        assert isinstance(found, types.CompletionList)
        return {item.label: item for item in sorted(found.items, key=lambda item: item.sort_text or "")}

    async def typed(self, before: str, behind: str = "") -> dict[str, types.CompletionItem]:
        """What is offered when `behind` was typed after `before`, up to the end of its line: an unfinished line."""
        place = self.text.index(before) + len(before)
        end = self.text.index("\n", place)
        self.change(f"{self.text[:place]}{behind}{self.text[end:]}")
        position = self.position(place + len(behind))
        found = await self.client.text_document_completion_async(types.CompletionParams(self.document, position))
        if found is None:
            return {}
        assert isinstance(found, types.CompletionList)
        return {item.label: item for item in sorted(found.items, key=lambda item: item.sort_text or "")}

    async def definition(self, pattern: str) -> types.Location | None:
        params = types.DefinitionParams(self.document, self.after(pattern))
        found = await self.client.text_document_definition_async(params)
        assert found is None or isinstance(found, types.Location)
        return found

    async def actions(self, where: types.Range, only: Sequence[str] | None = None) -> list[types.CodeAction]:
        kinds = None if only is None else [types.CodeActionKind(kind) for kind in only]
        context = types.CodeActionContext([], only=kinds)
        found = await self.client.text_document_code_action_async(types.CodeActionParams(self.document, where, context))
        return [action for action in found or () if isinstance(action, types.CodeAction)]

    async def layout(self) -> Sequence[types.TextEdit]:
        options = types.FormattingOptions(2, True)
        return await self.client.text_document_formatting_async(
            types.DocumentFormattingParams(self.document, options)
        ) or []  # fmt: skip

    async def rename(self, pattern: str, name: str) -> str:
        """The text after the name at the end of a pattern's first match has become another."""
        params = types.RenameParams(self.document, self.after(pattern), name)
        edit = await self.client.text_document_rename_async(params)
        assert edit is not None and edit.changes is not None
        return self.edited(edit.changes[self.uri])


@pytest_lsp.fixture(config=SERVER, scope="module")
async def client(lsp_client: EditorClient) -> AsyncIterator[None]:
    await lsp_client.initialize_session(types.InitializeParams(capabilities=capabilities()))
    yield
    await lsp_client.shutdown_session()


@pytest_asyncio.fixture(loop_scope="module")
async def gpt(client: EditorClient) -> AsyncIterator[Editor]:
    editor = Editor(client, "file:///gpt.dlspec", GPT).open()
    await editor.findings()
    yield editor
    await editor.close()
