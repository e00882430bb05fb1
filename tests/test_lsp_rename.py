"""Rename, asked for by a client of the protocol: every use changes, and what cannot be is refused with the reason."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from lsp_cases import Editor, EditorClient, client, gpt
from lsprotocol import types
from pygls.exceptions import JsonRpcException

pytestmark = [pytest.mark.no_torch, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["client", "gpt"]  # fixtures


def changed(old: str, new: str) -> list[str]:
    """The lines that differ, as they are afterwards."""
    return [b.strip() for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b]


@pytest.mark.parametrize(
    ("place", "name", "lines"),
    [
        # a constant, from a use, into dims and calls
        (
            "Linear\\(voc",
            "tokens_known",
            [
                "tokens_known = 256",
                "model GPT: (tokens: int[B, T <= context]) -> (logits: [B, T, tokens_known]) {",
                "wte: Embedding(tokens_known, dim) + wpe: Positions(context, dim)",
                "head: Linear(tokens_known, bias = false, weight = wte.weight)",
            ],
        ),
        # a block and a model
        ("mlp: Ml", "Feed", ["block Feed(hidden) {", "residual { mlp: Feed(4 * dim) }"]),
        (
            "model G",
            "Small",
            [
                "model Small: (tokens: int[B, T <= context]) -> (logits: [B, T, vocab]) {",
                "train Small {",
                "export Small {",
            ],
        ),
        # a parameter
        (
            "Mlp\\(hid",
            "width",
            [
                "block Mlp(width) {",
                "fc: Linear(width) -> gelu(approximate = tanh) -> proj: Linear(dim)",
            ],
        ),
        # labels, in dotted uses, in quoted patterns, and in words that come of them
        (
            "wt",
            "table",
            [
                "table: Embedding(vocab, dim) + wpe: Positions(context, dim)",
                "head: Linear(vocab, bias = false, weight = table.weight)",
                'freeze = ["blocks.*.attn_norm", table]',
            ],
        ),
        (
            "residual { at",
            "look",
            ["residual { look: SelfAttention(heads, causal = true) }", 'freeze = ["blocks.*.look_norm", wte]'],
        ),
        (
            "  blo(?=cks: )",
            "layers",
            [
                "layers: repeat(2) {",
                'freeze = ["layers.*.attn_norm", wte]',
                "rates = [head = 0.1, layers.0.mlp.fc = 2]",
            ],
        ),
        (
            "  f(?=c:)",
            "up",
            [
                "up: Linear(hidden) -> gelu(approximate = tanh) -> proj: Linear(dim)",
                "rates = [head = 0.1, blocks.0.mlp.up = 2]",
            ],
        ),
        # dims and ports
        (
            "int\\[B, T",
            "S",
            ["model GPT: (tokens: int[B, S <= context]) -> (logits: [B, S, vocab]) {"],
        ),
        (
            "(?<=\\()logi(?=ts:)",
            "scores",
            [
                "model GPT: (tokens: int[B, T <= context]) -> (scores: [B, T, vocab]) {",
                "loss = cross_entropy(scores, data.targets)",
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_use_changes(gpt: Editor, place: str, name: str, lines: list[str]) -> None:
    assert changed(gpt.text, await gpt.rename(place, name)) == lines


VALUES = """dlspec 1
model Pair: (source: int[B, S], target: int[B, T]) -> (y: [B, T, 8], z: [B, S, 8]) {
  embed = tok: Embedding(20, 8) -> Dropout(0.1)
  source -> embed -> Linear(8) as memory
  memory -> Linear(8) as z
  target -> embed -> layers: repeat(2, index = i) { residual { a: Linear(8) as inner } } as y
}
"""


@pytest.mark.parametrize(
    ("place", "name", "count"),
    [("emb", "both", 3), ("as mem", "kept", 2), ("index = ", "n", 1), ("in(?=ner)", "x", 1), ("to", "table", 1)],
)
async def test_values_and_flows(client: EditorClient, place: str, name: str, count: int) -> None:
    editor = Editor(client, "file:///pair.dlspec", VALUES).open()
    text = await editor.rename(place, name)
    assert len(re.findall(rf"\b{name}\b", text)) - len(re.findall(rf"\b{name}\b", VALUES)) == count
    await editor.close()


async def test_an_inner_name_is_another_name(client: EditorClient) -> None:
    text = (
        "dlspec 1\nn = 8\nblock A(n) { Linear(n) }\n"
        "model M: (x: [B, n]) -> (y: [B, n]) { A(n) -> A(n = n) }\n"
    )  # fmt: skip
    editor = Editor(client, "file:///inner.dlspec", text).open()
    outer = "dlspec 1\nw = 8\nblock A(n) { Linear(n) }\nmodel M: (x: [B, w]) -> (y: [B, w]) { A(w) -> A(n = w) }\n"
    inner = "dlspec 1\nn = 8\nblock A(w) { Linear(w) }\nmodel M: (x: [B, n]) -> (y: [B, n]) { A(n) -> A(w = n) }\n"
    assert await editor.rename("1\nn", "w") == outer
    assert await editor.rename("A\\(n", "w") == inner
    await editor.close()


async def refusal(editor: Editor, place: str, name: str) -> str:
    with pytest.raises(JsonRpcException) as refused:
        await editor.rename(place, name)
    return refused.value.message


@pytest.mark.parametrize(
    ("place", "name", "reason"),
    [
        ("voc", "context", "`context` is taken: line 4 gives it to a constant"),
        ("voc", "repeat-s", "`repeat-s` is no name for a constant: it begins with a small letter"),
        ("voc", "Vocab", "begins with a small letter"),
        ("block M", "mlp", "`mlp` is no name for a block: it begins with a capital letter"),
        ("block M", "Linear", "`Linear` is a layer of the language"),
        ("block M", "GPT", "`GPT` is taken: line 15 gives it to a model"),
        ("voc", "model", "`model` is a word of the language"),
        ("  f(?=c:)", "proj", "Two modules of this body are labelled `proj`"),
        ("  f(?=c:)", "forward", "`forward` is an attribute of every PyTorch module"),
        ("hid", "dim", "`dim` is taken"),
        ("fc: Lin", "x", "words of the language cannot be renamed"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(gpt: Editor, place: str, name: str, reason: str) -> None:
    assert reason in await refusal(gpt, place, name)


async def test_an_input_keeps_the_name_of_its_field(gpt: Editor) -> None:
    await gpt.findings()
    assert await refusal(gpt, r"GPT: \(tok", "words") == (
        "`tokens` is bound to the field of its name in the data, which has `tokens`, `targets`"
    )


async def test_a_name_takes_no_word_from_the_language(client: EditorClient) -> None:
    """A bare `relu` further down would become the label."""
    text = "dlspec 1\nmodel M: (x: [B, 8]) -> (y: [B, 8]) { up: Linear(8) -> relu -> Linear(8) -> gelu() }\n"
    editor = Editor(client, "file:///words.dlspec", text).open()
    assert await refusal(editor, "{ up", "relu") == "`relu` is used in line 2 for something else"
    assert await editor.rename("{ up", "gelu") == text.replace("up:", "gelu:")
    await editor.close()


async def test_a_word_that_can_be_renamed_is_told_beforehand(gpt: Editor) -> None:
    params = types.PrepareRenameParams(gpt.document, gpt.after("weight = wt"))
    found = await gpt.client.text_document_prepare_rename_async(params)
    assert isinstance(found, types.Range)
    assert gpt.cut(found) == "wte"
    with pytest.raises(JsonRpcException, match="words of the language"):
        await gpt.client.text_document_prepare_rename_async(
            types.PrepareRenameParams(gpt.document, gpt.after("fc: Lin"))
        )  # fmt: skip


async def test_an_error_that_was_there_is_none_of_the_new_name(client: EditorClient) -> None:
    """Its message has the name in it, once as the name, and once as a word."""
    text = (
        "dlspec 1\na = 8\nis = 4\n"
        "model M: (x: [B, a]) -> (y: [B, is]) { Linear(a + b) -> fc: relu -> Liner(is) -> Linear(is) }\n"
    )  # fmt: skip
    editor = Editor(client, "file:///faulty.dlspec", text).open()
    assert await editor.findings()
    assert await editor.rename("1\na", "width") == re.sub(r"\ba\b", "width", text)
    assert await editor.rename("8\nis", "n") == re.sub(r"\bis\b", "n", text)
    assert await refusal(editor, "fc", "forward")
    await editor.close()


SHARED = """dlspec 1
width = 8
block Mlp(hidden): (x: [B, D], other: [B, D]) -> [B, D] { x + other -> Linear(hidden) -> fc: Linear(D) }
"""
USES = """dlspec 1
import "shared.dlspec"
block Feed(n) { Linear(n) }
model Net: (x: [B, width]) -> (y: [B, width]) { Mlp(hidden = 4, other = x) -> Feed(width) }
"""


@pytest_asyncio.fixture(loop_scope="module")
async def uses(client: EditorClient) -> AsyncIterator[tuple[Editor, Editor]]:
    """A document, and one that imports it."""
    editors = [
        Editor(client, f"file:///together/{name}.dlspec", text).open()
        for name, text in (("shared", SHARED), ("uses", USES))
    ]
    assert not [found for editor in editors for found in await editor.findings()]
    yield editors[0], editors[1]
    for editor in editors:
        await editor.close()


@pytest.mark.parametrize(
    ("place", "old", "name"),
    [
        ("block M", "Mlp", "Gated"),
        ("wid", "width", "dim"),
        ("Mlp\\(hid", "hidden", "inner"),
        (", oth", "other", "memory"),
        ("block M", "Mlp", "Relu"),  # near a word of the language: read anew
    ],
)
async def test_documents_that_import_a_name_are_edited_too(
    uses: tuple[Editor, Editor], place: str, old: str, name: str
) -> None:
    shared, importer = uses
    params = types.RenameParams(shared.document, shared.after(place), name)
    edit = await shared.client.text_document_rename_async(params)
    assert edit is not None and edit.changes is not None
    for editor, text in (shared, SHARED), (importer, USES):
        assert editor.edited(edit.changes[editor.uri]) == re.sub(rf"\b{old}\b", name, text)


async def test_a_name_that_an_importer_has_is_refused(uses: tuple[Editor, Editor]) -> None:
    shared, importer = uses
    for name, what in ("Feed", "line 3 gives it to a block"), ("Net", "line 4 gives it to a model"):
        assert await refusal(shared, "block M", name) == f"In /together/uses.dlspec: `{name}` is taken: {what}"
    assert await importer.rename("block F", "Forward") == USES.replace("Feed", "Forward")


async def test_a_name_that_no_import_brings_stays_in_its_document(uses: tuple[Editor, Editor]) -> None:
    shared, _ = uses
    params = types.RenameParams(shared.document, shared.after("f(?=c:)"), "last")
    edit = await shared.client.text_document_rename_async(params)
    assert edit is not None and edit.changes is not None and list(edit.changes) == [shared.uri]
