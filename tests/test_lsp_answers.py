"""Hover, completion, definition and outline, asked for by a client of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from lsp_cases import GPT, Editor, EditorClient, client, gpt
from lsprotocol import types

pytestmark = [pytest.mark.no_torch, pytest.mark.asyncio(loop_scope="module")]
__all__ = ["client", "gpt"]  # fixtures


# --- hover -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("fc: Lin", ["[B, T, dim] -> [B, T, hidden]", "4,224 parameters", "Linear(features, ", "y = x W^T + b"]),
        ("    residual { at", ["attn: SelfAttention(heads, causal = true)", "-> [B, T, dim]", "4,224 parameters"]),
        ("cau", ["causal = false", "Option of `SelfAttention`", "Takes true or false", "hides what comes later"]),
        ("approximate = ta", ["Option of `gelu`", "none or tanh"]),
        ("mlp: Ml", ["block Mlp(hidden)", "Two layers.", "[B, T, dim] -> [B, T, dim]", "8,352 parameters"]),
        ("block Ml", ["block Mlp(hidden)", "Two layers."]),
        ("blocks: rep", ["repeat(count, index = i)", "weights of its own", "25,408 parameters"]),
        ("    resid", ["residual(pre =", "[B, T, dim] -> [B, T, dim]"]),
        ("residual\\(pr", ["Option of `residual`", "pre-norm"]),
        ("dim", ["dim = 4 * 8", "A constant", "It is 32"]),
        ("weight = wt", ["wte: Embedding(vocab, dim)", "8,192 parameters"]),
        ("head: Lin", ["[B, T, vocab]", "a weight shared with another layer"]),
        ("logit", ["logits: [B, T, vocab]"]),
        ("\\[B, T", ["T <= context", "A dim"]),
        ("optimiz", ["schedule", "AdamW(lr = 3e-4)"]),
        ("= Adam", ["Loshchilov", "betas = [0.9, 0.999]"]),
        ("AdamW\\(l", ["Option of `AdamW`", "a number above 0", "peak rate"]),
        ("war", ["warmup(length)"]),
        ("cosine\\(t", ["Option of `cosine`", "10%"]),
        ("cross_en", ["cross_entropy(logits, data.label", "log softmax"]),
        ("data.targ", ["data.targets: int[B, context]", "A field"]),
        ("onn", ["onnx(path", "ONNX"]),
        ("bloc(?=k Mlp)", ["block Name(parameters)", "A reusable piece"]),
        ("tra(?=in GPT)", ["train Name", "How a model learns"]),
        ("mod(?=el GPT)", ["model Name", "An entry point"]),
        ("defau(?=lt res)", ["default Layer(option = value)", "A nearer default wins"]),
        ("exp(?=ort GPT)", ["export Name", "What to ship"]),
        ("dlsp(?=ec 1)", ["dlspec 1", "the version of the language"]),
        ("causal = tr", ["True or false"]),
        ("    residual { attn: SelfAttention\\(hea", ["heads = 4"]),
    ],
)  # fmt: skip
async def test_hover_says_what_it_is(gpt: Editor, pattern: str, shown: Sequence[str]) -> None:
    text = await gpt.hover_text(pattern)
    for part in shown:
        assert part in text, text


async def test_nothing_is_said_of_comments_and_numbers(gpt: Editor) -> None:
    assert await gpt.hover("# A sm") is None
    assert await gpt.hover("steps = 10") is None


async def test_hover_while_another_line_is_broken(gpt: Editor) -> None:
    """The documentation is there without a graph, and shapes that were known before an edit elsewhere still are."""
    gpt.change(GPT.replace("  norm: LayerNorm\n", "  norm: LayerNorm(\n"))
    text = await gpt.hover_text("fc: Lin")
    assert "y = x W^T + b" in text and "[B, T, hidden]" in text
    assert "AdamW(lr" in await gpt.hover_text("= Adam")


async def test_a_block_that_is_used_twice(client: EditorClient) -> None:
    text = "dlspec 1\nblock Twin(n) { Linear(n) }\nmodel M: (x: [B, 8]) -> (y: [B, 2]) { Twin(4) -> Twin(2) }\n"
    editor = Editor(client, "file:///two_uses.dlspec", text).open()
    await editor.findings()
    assert "the first of 2 uses" in await editor.hover_text("{ Lin")
    assert "10 parameters" in await editor.hover_text("Twin\\(4\\) -> Tw")


# --- completion --------------------------------------------------------------------------------------------------

BODY = "  norm: LayerNorm"


@pytest.mark.parametrize(
    # The kind of the first item is what the place is for.
    ("before", "typed", "first", "offered", "absent"),
    [
        # A line of a body: names of the file, then the library's; its own model and other sections' words are not.
        (BODY, "\n  ", "Variable", "wte blocks Mlp Linear relu residual default vocab", "GPT AdamW hidden attn lr"),
        (BODY, "\n  x: Lin", "Variable", "Linear LayerNorm", "default AdamW"),
        (BODY, "\n  Linear(4) -> ", "Variable", "relu Mlp", "default"),
        # Behind a value come operators.
        (BODY, " ", "Keyword", "-> as if", "Linear"),
        (BODY, " as ", None, "", "Linear wte"),
        # A call: options that are not given yet, then what may stand at the place.
        (BODY, "\n  Linear(", "Property", "features bias weight dim vocab sqrt", "LayerNorm heads_ relu"),
        (BODY, "\n  Linear(dim, ", "Property", "bias features true false", "LayerNorm"),
        (BODY, "\n  SelfAttention(heads, causal = true, ", "Property", "bias kv_heads rotary", "causal LayerNorm"),
        (BODY, "\n  SelfAttention(heads, causal = ", "EnumMember", "true false", "kv_heads LayerNorm"),
        (BODY, "\n  gelu(approximate = ", "EnumMember", "tanh none", "approximate relu"),
        (BODY, "\n  Mlp(", "Property", "hidden dim", ""),
        (BODY, "\n  residual(", "Property", "pre out post skip scale gain layer_scale gate drop drop_path", ""),
        (BODY, "\n  residual(pre = ", "Variable", "LayerNorm RMSNorm none", "post"),
        (BODY, "\n  default ", "Module", "Mlp Linear residual", "wte dim"),
        (BODY, "\n  default residual(", "Property", "pre post", "LayerNorm dim"),
        (BODY, "\n  Dropout(", "Property", "p dim", "LayerNorm"),
        # Behind a dot.
        (BODY, "\n  wte.", "Field", "weight", "dim Linear"),
        (BODY, "\n  blocks.0.", "Field", "attn mlp attn_norm", "wte dim"),
        (BODY, "\n  blocks.0.mlp.", "Field", "fc proj", "attn"),
        # train: keys that are not there yet, and what each takes.
        ("batch = 8", "\n  ", "Property", "epochs clip precision metrics seed phase", "batch data loss lr Linear"),
        ("optimizer = ", "Ad", "Class", "Adam AdamW SGD", "Linear vocab cosine"),
        ("optimizer = ", "AdamW(", "Property", "lr betas decay eps", "Linear AdamW"),
        ("optimizer = ", "AdamW(lr = 1e-3, ", "Property", "betas decay", "lr"),
        ("optimizer = ", "AdamW(lr = 1e-3, decay_on = ", "EnumMember", "all matrices", "lr"),
        ("schedule = ", "", "Function", "warmup cosine linear stable", "AdamW Linear"),
        ("schedule = ", "warmup(10) -> ", "Function", "warmup cosine linear stable", "AdamW Linear"),
        ("schedule = ", "warmup(10) -> cosine(", "Property", "length to", "cosine"),
        ("loss = ", "", "Function", "cross_entropy mse mae", "accuracy AdamW data.targets"),
        ("loss = ", "cross_entropy(", "Field", "logits tokens data.targets data.tokens smoothing ignore", "wte"),
        ("loss = ", "cross_entropy(logits, data.", "Field", "targets tokens", "logits vocab"),
        ("loss = ", "cross_entropy(logits, data.targets, smoothing = ", None, "", "logits"),
        ("batch = 8", "\n  metrics = [", "Function", "accuracy perplexity", "cross_entropy"),
        ("batch = 8", "\n  precision = ", "EnumMember", "fp32 bf16 tf32", "vocab AdamW"),
        ("batch = 8", "\n  deterministic = ", "EnumMember", "true false", "vocab"),
        ("batch = 8", "\n  validate = ", "Function", "every", "patience"),
        ("batch = 8", "\n  early_stop = ", "Function", "patience", "every"),
        ("batch = 8", "\n  parallel = ", "Function", "ddp fsdp", "vocab"),
        ("batch = 8", "\n  phase a {\n    ", "Property", "update loss optimizer times", "batch data steps"),
        ("batch = 8", "\n  phase a {\n    update = [", "Field", "blocks head wte", "vocab Linear"),
        ("rates = ", "[", "Field", "blocks head norm wte wpe", "dim Linear vocab"),
        ("rates = ", "[blocks.0.", "Field", "attn mlp attn_norm mlp_norm", "wte"),
        ("data = ", "", "Function", "text tokens digits arrays task", "Linear"),
        ("data = ", "text(", "Property", "files window tokenizer split", "file"),
        ("data = ", 'text("*.txt", tokenizer = ', "EnumMember", "bpe bytes characters", "files"),
        # export
        ('onnx("gpt.onnx")', "\n  ", "Function", "onnx torchscript", "Linear AdamW"),
        ('onnx("gpt.onnx")', "\n  torchscript(", "Property", "path", "onnx"),
        # The file
        ("heads = 4", "\n", "Keyword", "block default export import model train", "Linear"),
        ("heads = 4", "\nmore = ", "Variable", "dim vocab true none LayerNorm sqrt", "more wte"),
        ("heads = 4", "\ndefault ", "Module", "Mlp Linear residual", "dim"),
        ("heads = 4", "\ndefault Linear(", "Property", "bias", "dim"),
        ("heads = 4", "\ntrain ", "Module", "GPT", "Mlp Linear"),
        ("heads = 4", "\nblock A(n = ", "Variable", "dim vocab", ""),
        ("heads = 4", "\nblock A: [B, d", "Variable", "dim vocab heads", "Linear"),
        ("heads = 4", "\nmodel A: (x: ", "Keyword", "int[ bool[", "dim"),
        # Where nobody can know.
        (BODY, "\n  Linear(.", None, "", "Linear dim"),
        ("heads = 4", "\n# Lin", None, "", "Linear"),
        ("heads = 4", "\nblock ", None, "", "Linear Mlp"),
        ('onnx("gpt.onnx")', '\n  onnx("', None, "", "onnx"),
    ],
)  # fmt: skip
async def test_completion_offers_what_is_legal_here(
    gpt: Editor, before: str, typed: str, first: str | None, offered: str, absent: str
) -> None:
    items = await gpt.typed(before, typed)
    assert set(offered.split()) <= set(items), sorted(items)
    assert not set(absent.split()) & set(items)
    if first is not None:
        assert next(iter(items.values())).kind == types.CompletionItemKind[first]


async def test_completion_brings_documentation(gpt: Editor) -> None:
    items = await gpt.typed(BODY, "\n  Linear(")
    bias = items["bias"]
    assert bias.detail == "true if left out"
    assert isinstance(bias.documentation, types.MarkupContent)
    assert "Takes true or false." in bias.documentation.value
    items = await gpt.typed(BODY, "\n  Lin")
    layer = items["Linear"]
    assert isinstance(layer.documentation, types.MarkupContent)
    assert "y = x W^T + b" in layer.documentation.value
    mine = items["Mlp"]
    assert isinstance(mine.documentation, types.MarkupContent)
    assert "Two layers." in mine.documentation.value


async def test_a_completion_takes_the_place_of_what_was_typed(gpt: Editor) -> None:
    items = await gpt.typed(BODY, "\n  x: Lin")
    edit = items["Linear"].text_edit
    assert isinstance(edit, types.TextEdit)
    assert "x: Linear\n  head" in gpt.edited([edit])
    items = await gpt.typed(BODY, "\n  x: Linear(bi")
    edit = items["bias"].text_edit
    assert isinstance(edit, types.TextEdit)
    assert "x: Linear(bias = \n" in gpt.edited([edit])


# --- definition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "given"),
    [
        ("4 \\* di", "dim = 4"),
        ("mlp: Ml", "Mlp(hidden) {"),
        ("fc: Linear\\(hid", "hidden) {"),
        ("weight = wt", "wte: Embedding"),
        ("train G", "GPT: (tokens"),
        ("export G", "GPT: (tokens"),
        ("entropy\\(log", "logits: [B"),
        ("<= con", "context = 32"),
        ("logits: \\[B, T", "T <= context"),
        ('freeze = \\["blocks.\\*.att', "attn: SelfAttention"),
        ("norm\", wt", "wte: Embedding"),
        ("blocks.0.mlp.f", "fc: Linear"),
    ],
)  # fmt: skip
async def test_a_name_leads_to_where_it_is_given(gpt: Editor, use: str, given: str) -> None:
    place = await gpt.definition(use)
    assert place is not None and place.uri == gpt.uri
    assert gpt.text[gpt.offsets(place.range)[0] :].startswith(given)


async def test_words_of_the_language_lead_nowhere(gpt: Editor) -> None:
    assert await gpt.definition("fc: Lin") is None


async def test_names_of_other_files(client: EditorClient, tmp_path: Path) -> None:
    """From the disk, and from an open document whose text is newer."""
    (tmp_path / "blocks.dlspec").write_text("dlspec 1\n# From the disk.\nblock Mlp(hidden) { Linear(hidden) }\n")
    text = 'dlspec 1\nimport "blocks.dlspec"\nmodel M: (x: [B, 8]) -> (y: [B, 2]) { Mlp(2) }\n'
    editor = Editor(client, (tmp_path / "main.dlspec").as_uri(), text).open()
    place = await editor.definition("{ Ml")
    assert place is not None
    assert place.uri == (tmp_path / "blocks.dlspec").as_uri()
    assert place.range.start == types.Position(2, 6)
    assert "From the disk." in await editor.hover_text("{ Ml")
    whole = await editor.definition('"bloc')
    assert whole is not None and whole.uri == place.uri

    other = Editor(client, place.uri, "dlspec 1\n\n\nblock Mlp(hidden) { Linear(hidden) }\n").open()
    place = await editor.definition("{ Ml")
    assert place is not None and place.range.start == types.Position(3, 6)
    items = await editor.typed("[B, 2]) {", " M")
    assert "Mlp" in items
    await other.close()


async def test_a_fault_in_an_imported_file_is_told_at_the_import(client: EditorClient, tmp_path: Path) -> None:
    """And taken back when the open document of that file is mended."""
    wrong = "dlspec 1\nblock Mlp(hidden) { Liner(hidden) }\n"
    (tmp_path / "blocks.dlspec").write_text(wrong)
    text = 'dlspec 1\nimport "blocks.dlspec"\nmodel M: (x: [B, 8]) -> (y: [B, 2]) { Mlp(2) }\n'
    editor = Editor(client, (tmp_path / "main.dlspec").as_uri(), text).open()
    (finding,) = await editor.findings()
    assert editor.cut(finding.range) == 'import "blocks.dlspec"'
    assert finding.message == "the imported file has an error: there is no layer or block `Liner`"
    assert finding.related_information is not None
    assert finding.related_information[0].location.uri == (tmp_path / "blocks.dlspec").as_uri()
    client.published.clear()
    other = Editor(client, (tmp_path / "blocks.dlspec").as_uri(), wrong.replace("Liner", "Linear")).open()
    assert list(await editor.findings()) == []
    await other.close()


async def test_a_shape_that_does_not_fit_in_an_imported_file_is_told_at_the_import(
    client: EditorClient, tmp_path: Path
) -> None:
    """Also where another file leads there."""
    (tmp_path / "blocks.dlspec").write_text("dlspec 1\nblock Net(n) { residual { Linear(n) } }\n")
    (tmp_path / "via.dlspec").write_text('dlspec 1\nimport "blocks.dlspec"\nblock Via { Net(4) }\n')
    for file, call in (("blocks.dlspec", "Net(4)"), ("via.dlspec", "Via")):
        text = f'dlspec 1\nimport "{file}"\nmodel M: (x: [B, 8]) -> (y: [B, 8]) {{ {call} }}\n'
        editor = Editor(client, (tmp_path / "main.dlspec").as_uri(), text).open()
        (finding,) = await editor.findings()
        assert editor.cut(finding.range) == f'import "{file}"'
        assert finding.code == "shape-mismatch"
        await editor.close()


async def test_what_does_not_fit_a_block_that_ships_is_told_at_its_call(client: EditorClient, tmp_path: Path) -> None:
    text = "dlspec 1\nimport std.resnet\nmodel M: (x: [B, 3, H, W]) -> (y: [B, 8, H, W]) { Basic(none) }\n"
    editor = Editor(client, (tmp_path / "main.dlspec").as_uri(), text).open()
    (finding,) = await editor.findings()
    assert editor.cut(finding.range) == "Basic(none)"
    assert finding.related_information is not None
    assert finding.related_information[0].location.uri.endswith("/specs/std/resnet.dlspec")
    await editor.close()


async def test_the_shipped_library(client: EditorClient) -> None:
    text = "dlspec 1\nimport std.transformer\nmodel M: (x: [B, T, 8]) -> (y: [B, T, 8]) { FeedForward(16) }\n"
    editor = Editor(client, "file:///library.dlspec", text).open()
    place = await editor.definition("{ Feed")
    assert place is not None and place.uri.endswith("/specs/std/transformer.dlspec")
    assert "block FeedForward(" in await editor.hover_text("{ Feed")
    items = await editor.typed("(y: [B, T, 8]) {", " FeedForward(")
    assert next(iter(items.values())).kind == types.CompletionItemKind.Property
    items = await editor.typed("dlspec 1\n", "import std.")
    assert {"transformer", "resnet"} <= set(items)
    await editor.close()


# --- outline -----------------------------------------------------------------------------------------------------


async def test_the_outline_has_items_labels_and_keys(gpt: Editor) -> None:
    found = await gpt.client.text_document_document_symbol_async(types.DocumentSymbolParams(gpt.document))

    def names(symbols: Sequence[object] | None) -> dict[str, dict]:
        return {s.name: names(s.children) for s in symbols or () if isinstance(s, types.DocumentSymbol)}

    tree = names(found)
    assert list(tree) == ["vocab", "context", "dim", "heads", "Mlp", "GPT", "train GPT", "export GPT"]
    assert tree["Mlp"] == {"fc": {}, "proj": {}}
    assert tree["GPT"] == {"wte": {}, "wpe": {}, "blocks": {"attn": {}, "mlp": {}}, "norm": {}, "head": {}}
    assert list(tree["train GPT"])[:2] == ["data", "loss"]
