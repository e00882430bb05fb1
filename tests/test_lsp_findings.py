"""Diagnostics, quick fixes and formatting, asked for by a client of the protocol."""

from __future__ import annotations

import pytest
import pytest_asyncio  # noqa: F401  (the fixture of lsp_cases runs on its loop)
from lsp_cases import Editor, client
from lsprotocol import types
from pytest_lsp import LanguageClient

pytestmark = [pytest.mark.no_torch, pytest.mark.asyncio(loop_scope="module")]

__all__ = ["client"]

MLP = """dlspec 1
model MLP: (x: [B, 8]) -> (y: [B, 2]) {
  fc: Liner(16) -> relu
  head: Linear(2, bais = false)
}
"""


async def test_findings_say_where_what_and_what_to_write(client: LanguageClient) -> None:
    editor = Editor(client, "file:///mlp.dlspec", MLP)
    editor.open()
    first, second = await editor.findings()
    assert (first.code, first.source, first.severity) == ("unknown-layer", "dlspec", types.DiagnosticSeverity.Error)
    assert editor.cut(first.range) == "Liner"
    assert first.message == "there is no layer or block `Liner`\nnot known here\nhelp: write `Linear`"
    assert editor.cut(second.range) == "bais"
