"""Diagnostics, quick fixes and formatting, asked for by a client of the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_lsp
from lsp_cases import GPT, SERVER, Editor, EditorClient, capabilities, client
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from dlspec.grammar import Source, format, parse

pytestmark = [pytest.mark.no_torch, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["client"]  # a fixture

MLP = """dlspec 1
model MLP: (x: [B, 8]) -> (y: [B, 2]) {
  fc: Liner(16) -> relu
  head: Linear(2, bais = false)
}
"""
TWICE = """dlspec 1
width = 8
width = 16
model M: (x: [B, width]) -> (y: [B, 2]) { Linear(2) }
"""


@pytest_lsp.fixture(config=SERVER, scope="module")
async def bytewise(lsp_client: EditorClient) -> AsyncIterator[None]:
    """A client that counts columns in bytes of UTF-8."""
    offer = capabilities(["utf-8", "utf-16"])
    answer = await lsp_client.initialize_session(types.InitializeParams(capabilities=offer))
    assert answer.capabilities.position_encoding == types.PositionEncodingKind.Utf8
    yield
    await lsp_client.shutdown_session()


# --- diagnostics -------------------------------------------------------------------------------------------------


async def test_findings_say_where_what_and_what_to_write(client: EditorClient) -> None:
    editor = Editor(client, "file:///mlp.dlspec", MLP).open()
    first, second = await editor.findings()
    assert (first.code, first.source, first.severity) == ("unknown-layer", "dlspec", types.DiagnosticSeverity.Error)
    assert editor.cut(first.range) == "Liner"
    assert first.message == "there is no layer or block `Liner`\nnot known here\nhelp: write `Linear`"
    assert editor.cut(second.range) == "bais"


async def test_a_sound_file_has_none(client: EditorClient) -> None:
    editor = Editor(client, "file:///sound.dlspec", GPT).open()
    assert [d for d in await editor.findings() if d.severity == types.DiagnosticSeverity.Error] == []


async def test_an_import_that_another_program_writes_is_read_again(client: EditorClient, tmp_path: Path) -> None:
    text = 'dlspec 1\nimport "parts.dlspec"\nmodel M: (x: [B, 8]) -> (y: [B, 8]) {\n  Part\n}\n'
    editor = Editor(client, (tmp_path / "whole.dlspec").as_uri(), text).open()
    assert "unknown-import" in {d.code for d in await editor.findings()}
    parts = tmp_path / "parts.dlspec"
    for written, codes in (("Part", set()), ("Other", {"unknown-layer"}), (None, {"unknown-import"})):
        if written is None:
            parts.unlink()
        else:
            parts.write_text(f"dlspec 1\nblock {written} {{ Linear(8) }}\n", encoding="utf-8")
        client.published.clear()
        change = types.FileEvent(parts.as_uri(), types.FileChangeType.Changed)
        client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
        assert {d.code for d in await editor.findings() if d.severity == types.DiagnosticSeverity.Error} == codes
    await editor.close()


async def test_a_question_about_a_closed_document_is_refused(client: EditorClient) -> None:
    editor = Editor(client, "file:///gone.dlspec", MLP).open()
    await editor.close()
    with pytest.raises(JsonRpcException, match=r"gone\.dlspec is not open"):
        await editor.hover("Liner")


async def test_further_places_are_related_information(client: EditorClient) -> None:
    editor = Editor(client, "file:///twice.dlspec", TWICE).open()
    (finding,) = await editor.findings()
    assert finding.code == "repeated-name"
    assert finding.related_information is not None
    (related,) = finding.related_information
    assert related.location.uri == editor.uri
    assert related.location.range.start == types.Position(1, 0)
    assert related.message == "given here first"


async def test_warnings_and_notes_are_told_apart(client: EditorClient) -> None:
    text = GPT.replace("to = 10%", "to = 1e-4")
    editor = Editor(client, "file:///doubt.dlspec", text).open()
    (finding,) = [d for d in await editor.findings() if d.code == "doubtful-part"]
    assert finding.severity == types.DiagnosticSeverity.Warning


async def test_only_the_newest_text_is_told_of(client: EditorClient) -> None:
    """Findings come when the typing pauses, with the version they are of; what came between is never told."""
    editor = Editor(client, "file:///pauses.dlspec", MLP).open()
    await editor.findings()
    for end in range(len("Linear")):
        editor.change(MLP.replace("Liner", "Linear"[: end + 1]).replace("bais", "bias"))
    assert list(await editor.findings()) == []
    assert [told.version for told in client.published if told.uri == editor.uri] == [1, editor.version]


async def test_a_closed_document_has_no_findings(client: EditorClient) -> None:
    editor = Editor(client, "file:///closed.dlspec", MLP).open()
    await editor.findings()
    await editor.close()
    assert [d for told in client.published if told.uri == editor.uri for d in told.diagnostics][2:] == []


async def test_the_rest_of_a_broken_file_is_checked(client: EditorClient) -> None:
    broken = MLP.replace("Linear(2, bais = false)", "Linear(2").replace("-> relu", "-> relu\n  Linear(16, bais = true)")
    found = await Editor(client, "file:///broken.dlspec", broken).open().findings()
    assert {d.code for d in found} >= {"unknown-layer", "unknown-option"}
    assert len({d.range.start.line for d in found}) == 3


async def test_a_document_that_was_never_saved(client: EditorClient) -> None:
    found = await Editor(client, "untitled:Untitled-1", MLP).open().findings()
    assert [d.code for d in found] == ["unknown-layer", "unknown-option"]


async def test_a_text_without_a_model_or_anything(client: EditorClient) -> None:
    for number, text in enumerate(["", "\n", "dlspec 1\n", "🙂", "}", "model", "dlspec 1\nmodel M: ("]):
        found = await Editor(client, f"file:///odd{number}.dlspec", text).open().findings()
        assert found, text


# --- columns -----------------------------------------------------------------------------------------------------

# A character beyond the BMP is one code point, two units of UTF-16, four bytes; a form feed ends no line.
ODD = 'dlspec 1\r\n# 🙂\x0cé\u2028\r\nname = "🙂🙂"  # é\r\nmodel M: (x: [B, 8]) -> (y: [B, 2]) { Liner(2) } # 🙂\r\n'


async def test_columns_count_in_utf16(client: EditorClient) -> None:
    editor = Editor(client, "file:///odd.dlspec", ODD.replace("name", "given")).open()
    found = {d.code: d for d in await editor.findings()}
    assert editor.cut(found["unknown-layer"].range) == "Liner"
    assert found["unknown-layer"].range.start.line == 3


async def test_columns_count_as_the_client_offers(bytewise: EditorClient) -> None:
    text = ODD.replace('"🙂🙂"', '"🙂🙂" -> Liner')
    editor = Editor(bytewise, "file:///bytes.dlspec", text, encoding="utf-8").open()
    found = [editor.cut(d.range) for d in await editor.findings() if d.code == "unknown-layer"]
    assert found.count("Liner") == len(found) >= 1
    place = editor.after('"🙂🙂" -> Liner')
    assert place.character == len('name = "🙂🙂" -> Liner'.encode())


async def test_hover_behind_an_emoji(client: EditorClient) -> None:
    text = 'dlspec 1\r\nmodel M: (x: [B, 8]) -> (y: [B, 2]) {\r\n  Linear(2, bias = "🙂" == "🙂")\r\n}\r\n'
    editor = Editor(client, "file:///emoji.dlspec", text).open()
    await editor.findings()
    shown = await editor.hover("Lin")
    assert shown is not None and shown.range is not None
    assert editor.cut(shown.range) == "Linear"


# --- quick fixes -------------------------------------------------------------------------------------------------


async def test_every_fix_is_an_action(client: EditorClient) -> None:
    editor = Editor(client, "file:///fix.dlspec", MLP).open()
    first, _ = await editor.findings()
    one, every = await editor.actions(first.range)
    assert (one.title, one.kind, one.is_preferred) == ("Write `Linear`", types.CodeActionKind.QuickFix, True)
    assert list(one.diagnostics or ()) == [first]
    assert one.edit is not None and one.edit.changes is not None
    assert editor.edited(one.edit.changes[editor.uri]) == MLP.replace("Liner", "Linear")
    assert every.title == "Fix all that can be fixed (2)"
    assert every.edit is not None and every.edit.changes is not None
    assert editor.edited(every.edit.changes[editor.uri]) == MLP.replace("Liner", "Linear").replace("bais", "bias")


@pytest.mark.parametrize("kind", ["source.fixAll", "source"])
async def test_all_fixes_at_once_on_saving(client: EditorClient, kind: str) -> None:
    editor = Editor(client, f"file:///save_{kind.replace('.', '_')}.dlspec", MLP).open()
    nothing = types.Range(types.Position(0, 0), types.Position(0, 0))
    (action,) = await editor.actions(nothing, only=[kind])
    assert action.edit is not None and action.edit.changes is not None
    editor.change(editor.edited(action.edit.changes[editor.uri]))
    assert list(await editor.findings()) == []


async def test_no_action_where_nothing_is_wrong(client: EditorClient) -> None:
    editor = Editor(client, "file:///right.dlspec", GPT).open()
    await editor.findings()
    whole = types.Range(types.Position(0, 0), types.Position(100, 0))
    assert await editor.actions(whole) == []


# --- formatting --------------------------------------------------------------------------------------------------


def laid_out(text: str) -> str:
    source = Source("x.dlspec", text)
    return format(parse(source)[0], source)


async def test_layout_is_that_of_fmt(client: EditorClient) -> None:
    untidy = GPT.replace("vocab = 256", "vocab   =256").replace("  norm: LayerNorm", "      norm:LayerNorm  # the last")
    editor = Editor(client, "file:///untidy.dlspec", untidy).open()
    edits = await editor.layout()
    assert editor.edited(edits) == laid_out(untidy) != untidy
    assert all(len(editor.cut(edit.range)) < len(untidy) / 2 for edit in edits), "only what differs is replaced"


async def test_layout_keeps_the_line_ends(client: EditorClient) -> None:
    editor = Editor(client, "file:///windows.dlspec", laid_out(GPT).replace("\n", "\r\n")).open()
    assert await editor.layout() == []
    editor.change(editor.text.replace("vocab ", "vocab    "))
    assert editor.edited(await editor.layout()) == laid_out(GPT).replace("\n", "\r\n")


async def test_what_cannot_be_read_is_left_alone(client: EditorClient) -> None:
    editor = Editor(client, "file:///unread.dlspec", GPT.replace("dim = 4 * 8", "dim   =   4 *")).open()
    assert await editor.layout() == []
