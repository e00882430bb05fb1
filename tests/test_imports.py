"""Imports: what a file brings in, under which names, and what is said where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.compiler.ir.text import graph_text
from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.compiler.semantics.imports import is_shipped
from dlspec.grammar import Source, render

pytestmark = pytest.mark.no_torch


def analysed(folder: Path, *overrides: str, **files: str) -> Analysis:
    """`files` are texts without the first line; the one called `main` is analysed."""
    for name, text in files.items():
        (folder / f"{name}.dlspec").write_text(f"dlspec 1\n{text}\n")
    path = folder / "main.dlspec"
    return analyse(Source(str(path), path.read_text()), overrides)


def said(analysis: Analysis) -> list[str]:
    return [f"{Path(d.span.source.name).name}:{d.span.line} {d.code}" for d in analysis.diagnostics]


MODEL = "model M: (x: [B, 8]) -> (y: [B, 8]) {{ {} }}"
BLOCKS = """
wide = 16
default Linear(bias = false)
sq(x) = x * x
block Mlp(hidden = wide): [B, D] -> [B, D] { up: Linear(hidden) -> sq -> down: Linear(D) }
"""


def test_blocks_functions_and_constants_come_with_their_own_defaults(tmp_path: Path) -> None:
    main = 'import "blocks.dlspec"\n' + MODEL.format("Linear(wide) -> sq -> Linear(8) -> mlp: Mlp")
    found = analysed(tmp_path, main=main, blocks=BLOCKS)
    assert said(found) == []
    text = graph_text(found.graphs["M"])
    assert "up: Linear(hidden, bias = false)" in text
    assert "linear: Linear(wide)(x)" in text  # no default reaches what is written here


def test_an_override_changes_a_constant_that_comes_from_another_file(tmp_path: Path) -> None:
    main = 'import "blocks.dlspec"\n' + MODEL.format("mlp: Mlp")
    before = analysed(tmp_path, main=main, blocks=BLOCKS)
    after = analysed(tmp_path, "wide=32", main=main, blocks=BLOCKS)
    counts = [[c.value for c in found.graphs["M"].constants] for found in (before, after)]
    assert counts == [[16], [32]]
    wrong = analysed(tmp_path, "wid=32", main=main, blocks=BLOCKS)
    assert [d.help for d in wrong.diagnostics] == ["write `wide`"]


def test_a_file_that_two_import_is_one(tmp_path: Path) -> None:
    main = 'import "a.dlspec"\nimport "b.dlspec"\n' + MODEL.format("A -> Bee -> Mlp")
    found = analysed(
        tmp_path,
        main=main,
        a='import "blocks.dlspec"\nblock A { Mlp }',
        b='import "blocks.dlspec"\nblock Bee { Mlp }',
        blocks=BLOCKS,
    )
    assert said(found) == []


def test_a_name_is_one_things_in_all_files(tmp_path: Path) -> None:
    own = analysed(tmp_path, main='import "blocks.dlspec"\nwide = 3\n' + MODEL.format("Mlp"), blocks=BLOCKS)
    assert said(own) == ["main.dlspec:3 repeated-name"]
    both = 'import "blocks.dlspec"\nimport "more.dlspec"\n' + MODEL.format("Mlp")
    assert said(analysed(tmp_path, main=both, blocks=BLOCKS, more="wide = 4")) == ["main.dlspec:3 repeated-name"]


def test_a_circle_is_told_where_it_closes(tmp_path: Path) -> None:
    main = 'import "a.dlspec"\n' + MODEL.format("relu")
    found = analysed(
        tmp_path, main=main, a='import "b.dlspec"\nblock A { relu }', b='import "a.dlspec"\nblock C { relu }'
    )
    assert said(found) == ["b.dlspec:2 circular-import"]
    assert "a.dlspec -> b.dlspec -> a.dlspec" in found.diagnostics[0].message


def test_faults_of_an_imported_file_are_told_in_it(tmp_path: Path) -> None:
    main = 'import "blocks.dlspec"\n' + MODEL.format("Mlp")
    found = analysed(tmp_path, main=main, blocks="block Mlp { Liner(8) }\nbad = = 3")
    assert [line.split()[0] for line in said(found)] == ["blocks.dlspec:2", "blocks.dlspec:3"]
    assert said(found)[0].endswith("unknown-layer")


@pytest.mark.parametrize(
    ("line", "code", "help"),
    [
        ('import "block.dlspec"', "unknown-import", 'write "blocks.dlspec"'),
        ('import "blocks"', "no-spec", 'write "blocks.dlspec"'),
        ("import std.transfomer", "unknown-import", "write `std.transformer`"),
        ("import blocks", "unknown-import", 'write `"blocks.dlspec"`'),
        ('import "blocks.dlspec"\nimport "blocks.dlspec"', "repeated-import", "take it out"),
        ('import "blocks.dlspec"\nimport std.nothing_like_it', "unknown-import", "there are std."),
    ],
)
def test_an_import_that_cannot_be_had_says_what_to_write(tmp_path: Path, line: str, code: str, help: str) -> None:
    body = "Mlp" if '"blocks.dlspec"' in line else "Linear(8)"
    found = analysed(tmp_path, main=f"{line}\n{MODEL.format(body)}", blocks=BLOCKS)
    told = found.diagnostics
    assert [d.code for d in told] == [code], "\n".join(map(render, told))
    assert told[0].help.startswith(help)
    for fix in told[0].fixes[:1]:
        text = found.source.text
        mended = text[: fix.span.start] + fix.text + text[fix.span.end :]
        (tmp_path / "main.dlspec").write_text(mended)
        assert not analyse(Source(str(tmp_path / "main.dlspec"), mended)).failed


def test_what_an_unreadable_file_would_have_brought_is_not_unknown(tmp_path: Path) -> None:
    found = analysed(tmp_path, main='import "gone.dlspec"\n' + MODEL.format("Mlp(3) -> other"))
    assert said(found) == ["main.dlspec:2 unknown-import"]


FAULTS = """
Liner(8) | Linear(-1) | Linear("a") | Linear(8, bais = false) | Linear(8, 9) | Linear() | Linear(8.5) | Linear(none)
residual { Linear(n) } | residual { Linear(9) } | residual(pre = 3) { Linear(8) } | Linear(4) + Linear(6)
a: Linear(n) -> a: Linear(8) | Linear(8) as h | split(2) as a, b, c | SelfAttention(3) | Embedding(10, 8)
Positions(10, 8) | Conv2d(8, kernel = 3) | reshape(3, 5) | x.y -> Linear(8) | nn.Linear(8) | l: relu | Linear(m + 1)
repeat { Linear(8) } | repeat(2.5) { Linear(8) } | repeat(2) { Linear(8 + i) } | Linear(8, weight = q.weight)
experts(2, top = 3) { Linear(8) } | Linear(8) -> 2 | { } | Dropout(2) | CrossAttention(2) | mean(over = T) | n
[n, n] -> concat | rearrange("b d -> d b c") | Linear(8) as n | Linear(8) as Big | x = x + 1 | return x
Linear 8 | Linear(8 | Linear(8) -> | = 3 | Linear(8) @ Linear(4) | patchify(3) | pad(3)
Linear(8) if n else Linear(4) | Linear(8) * Linear(4)
"""
TYPES = ["[B, 8]", "[B, T, 8]", "[B, 8, H, W]"]


@pytest.mark.parametrize(
    "fault", [fault.strip() for line in FAULTS.strip().splitlines() for fault in line.split(" | ")]
)
def test_a_fault_in_an_imported_block_is_told_as_in_the_file_itself(tmp_path: Path, fault: str) -> None:
    """There, with the calls that lead to it; what the parser finds is no matter of calls."""
    for type_ in TYPES:
        model = f"model M: (x: {type_}) -> (y: {type_}) {{ Net(4) }}"
        block = f"# n\nblock Net(n): {type_} -> {type_} {{\n  {fault}\n  Linear(n) -> Linear(8)\n}}"
        imported = analysed(tmp_path, main=f'import "blocks.dlspec"\n{model}', blocks=block)
        by_way = analysed(tmp_path, main=f'import "via.dlspec"\n{model.replace("Net(4)", "Via")}', via=VIA)
        alone = analysed(tmp_path, main=f"{block}\n{model}")
        assert imported.failed
        for found, calls in ((imported, ["Net(4)"]), (by_way, ["Net(4)", "Via"])):
            assert told(found) == told(alone)
            for finding in found.diagnostics:
                assert Path(finding.span.source.name).name == "blocks.dlspec"
                assert all(fix.span.source is finding.span.source for fix in finding.fixes)
                assert f"blocks.dlspec:{finding.span.line}" in render(finding)
                called = [span.text for span, text in finding.labels if text == "called here"]
                assert called == calls or finding.code in OF_THE_PARSER


OF_THE_PARSER = {
    "wrong-case",
    "unfinished-line",
    "foreign-word",
    "unexpected",
    "unclosed-bracket",
    "missing-value",
    "foreign-sign",
}
VIA = 'import "blocks.dlspec"\n# Elsewhere,\n# so that places differ.\nblock Via { Net(4) }'


def told(found: Analysis) -> list[tuple[str, str, str]]:
    return sorted((d.code, d.message, d.span.text) for d in found.diagnostics)


@pytest.mark.parametrize(
    ("call", "code", "place"),
    [
        ("Basic(-1)", "wrong-value", "-1"),
        ("Basic(none)", "missing-option", "Basic(none)"),
        ("Basic(8, stride = 0.5)", "wrong-value", "0.5"),
        ("BasicStage(8, 2, stride = 0.5)", "wrong-value", "BasicStage(8, 2, stride = 0.5)"),
        ("flatten -> Basic(8)", "shape-mismatch", "Basic(8)"),
        ("Basic()", "missing-option", "Basic()"),
    ],
)
def test_a_block_that_ships_is_never_to_be_changed(tmp_path: Path, call: str, code: str, place: str) -> None:
    """What it is given does not fit: told once, at the call, with the place in it that says so."""
    body = f"import std.resnet\nmodel M: (x: [B, 3, 32, 32]) -> (y: [B, 8]) {{\n  {call}\n  flatten -> Linear(8)\n}}"
    (finding,) = analysed(tmp_path, main=body).diagnostics
    assert (finding.code, finding.span.text) == (code, place)
    assert finding.span.line == 4
    assert any(is_shipped(span.source.name) for span, _ in finding.labels)
    assert all(fix.span.source is finding.span.source for fix in finding.fixes)


def test_a_value_handed_to_an_imported_block_is_shown_where_it_is_given(tmp_path: Path) -> None:
    main = 'import "blocks.dlspec"\n' + MODEL.format('Net("a")')
    (finding,) = analysed(tmp_path, main=main, blocks="block Net(n) {\n  Linear(2 * n)\n}").diagnostics
    given = [span for span, text in finding.labels if text == "`n` is given this"]
    assert [(Path(span.source.name).name, span.text) for span in given] == [("main.dlspec", '"a"')]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("model N: (x: flot[B, 8]) -> (y: [B, 8]) { Linear(8) }", "flot"),
        ("train Nope { }", "Nope"),
        ('export Nope { onnx("m.onnx") }', "Nope"),
        ('export M { onnx("m.onnx", outputs = [z]) }', "z"),
    ],
)
def test_what_no_import_brings_is_unknown_beside_one_that_cannot_be_read(tmp_path: Path, line: str, word: str) -> None:
    found = analysed(tmp_path, main=f'import "gone.dlspec"\n{MODEL.format("Mlp")}\n{line}').diagnostics
    codes = [(d.code, d.span.text) for d in found]
    assert ("unknown-import", '"gone.dlspec"') in codes
    assert ("unknown-name", word) in codes


def test_findings_in_the_file_itself_come_first_then_those_in_the_order_of_imports(tmp_path: Path) -> None:
    blocks = "block {}: [B, D] -> [B, D] {{ Liner(D) }}"
    main = 'import "b.dlspec"\nimport "a.dlspec"\n' + MODEL.format("One -> Two -> Liner(8)")
    found = analysed(tmp_path, main=main, a=blocks.format("One"), b=blocks.format("Two"))
    assert said(found) == ["main.dlspec:4 unknown-layer", "b.dlspec:2 unknown-layer", "a.dlspec:2 unknown-layer"]


@pytest.mark.parametrize(
    ("use", "unused"),
    [
        ("Linear(8)", [2, 3]),
        ("Mlp", [3]),
        ("Linear(wide) -> Linear(8)", [3]),
        ("Linear(16) -> sq -> Linear(8)", [3]),
        ("FeedForward(8)", [2]),
    ],
)
def test_an_import_of_which_nothing_is_used_is_told_and_goes_with_its_line(
    tmp_path: Path, use: str, unused: list[int]
) -> None:
    model = MODEL.replace("[B, 8]", "[B, T, 8]") if "Forward" in use else MODEL
    main = f'import "blocks.dlspec"  # ours\nimport std.transformer\n{model.format(use)}'
    found = analysed(tmp_path, main=main, blocks=BLOCKS)
    assert said(found) == [f"main.dlspec:{line} unused-name" for line in unused]
    lines = found.source.text.splitlines(keepends=True)
    text = found.source.text
    for told in reversed(found.diagnostics):
        assert told.severity == "warning" and told.message == f"nothing uses what `{told.span.text}` brings"
        (fix,) = told.fixes
        text = text[: fix.span.start] + fix.text + text[fix.span.end :]
    assert text == "".join(line for number, line in enumerate(lines, 1) if number not in unused)
    assert said(analyse(Source(str(tmp_path / "main.dlspec"), text))) == []


def test_texts_that_were_kept_are_read_instead_of_files(tmp_path: Path) -> None:
    main = 'import "blocks.dlspec"\nimport std.transformer\n' + MODEL.format("Mlp")
    found = analysed(tmp_path, main=main, blocks=BLOCKS)
    assert sorted(found.imports) == ["blocks.dlspec", "std/transformer.dlspec"]
    kept = analyse(Source("main.dlspec", found.source.text, found.imports))
    assert not kept.failed
    assert graph_text(kept.graphs["M"]) == graph_text(found.graphs["M"])


def test_a_model_of_another_file_is_not_brought_and_said_to_be_one(tmp_path: Path) -> None:
    main = 'import "other.dlspec"\n' + MODEL.format("Other")
    found = analysed(tmp_path, main=main, other=MODEL.format("Linear(8)").replace(" M:", " Other:"))
    assert [(d.code, d.message) for d in found.diagnostics] == [
        ("unknown-layer", "`Other` is a model of another file, and an import brings blocks")
    ]
    assert found.diagnostics[0].help == "make it a block there: `block Other: ...`"
