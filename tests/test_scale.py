"""Long and deep specs: the work of a check grows with the text, and no depth that people reach is too deep."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_cases import Write, write
from lsp_cases import Editor, EditorClient, client
from lsprotocol import types

from dlspec.cli.main import main
from dlspec.cli.show import STAGES
from dlspec.compiler.build import unfolding
from dlspec.compiler.depth import room_for_depth
from dlspec.compiler.pipeline import Analysis, analyse
from dlspec.grammar import Source

__all__ = ["client", "write"]  # fixtures
pytestmark = pytest.mark.no_torch
DEEP = 200


def model(body: str, before: str = "") -> str:
    return f"dlspec 1\n{before}model Scale: (x: [B, 64]) -> (y: [B, 64]) {{\n{body}\n}}\n"


def work(text: str) -> tuple[int, Analysis]:
    """How many functions a check calls."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    source = Source("scale.dlspec", text)
    sys.setprofile(note)
    try:
        analysis = analyse(source)
    finally:
        sys.setprofile(None)
    return count, analysis


def layers(count: int) -> str:
    return model("\n".join(f"  fc{i}: Linear(64, bias = false) -> relu" for i in range(count)))


def residuals(count: int) -> str:
    return model("\n".join(f"  residual(pre = LayerNorm) {{ a{i}: Linear(64) -> gelu }}" for i in range(count)))


def values(count: int) -> str:
    lines = [f"  Linear(64) as v{i}\n  relu + v{i}" for i in range(count)]
    return model("\n".join(lines))


def constants(count: int) -> str:
    given = "".join(f"c{i} = {f'c{i - 1} + 0' if i else '64'}\n" for i in range(count))
    return model(f"  Linear(c{count - 1})", given)


def blocks(count: int) -> str:
    given = "".join(f"block B{i} {{ Linear(64) -> relu }}\n" for i in range(count))
    return model("\n".join(f"  B{i}" for i in range(count)), given)


def misspelt(count: int) -> str:
    return model("\n".join(f"  fc{i}: Linaer(64, bais = wdth{i}) -> relu" for i in range(count)))


def foreign(count: int) -> str:
    return model("\n".join(f"  Linear(64) => relu b{i} c" for i in range(count)))


def unclosed(count: int) -> str:
    return model("\n".join("  Linear(64" for _ in range(count)))


SLOWER = (residuals, blocks, foreign)


@pytest.mark.parametrize(
    "make",
    [layers, values, constants, unclosed, *(pytest.param(one, marks=pytest.mark.slow) for one in SLOWER)],
)
def test_twice_the_text_is_twice_the_work(make: Callable[[int], str]) -> None:
    (short, first), (long, second) = work(make(200)), work(make(400))
    assert long < 2.2 * short
    assert first.failed == second.failed == (make in (foreign, unclosed))


@pytest.mark.slow
def test_thousands_of_misspelt_names_are_told() -> None:
    """Each is held against all names in sight, with no function called for most of them."""
    (short, _), (long, analysis) = work(misspelt(200)), work(misspelt(400))
    assert long < 3.2 * short
    assert len(analysis.diagnostics) == 3 * 400  # a layer, its option, and a name


@pytest.mark.slow
def test_ten_thousand_layers_and_copies() -> None:
    for text in (layers(10_000), model("  repeat(10_000) { Linear(64) -> relu }")):
        analysis = analyse(Source("scale.dlspec", text))
        assert analysis.diagnostics == []
        assert set(analysis.graphs) == {"Scale"}


CALLS = {
    "blocks": ("block A{i} {{ A{j} -> A{j} }}", "block A0 {{ Linear(64) -> relu }}", "  A30"),
    "faulty blocks": ("block A{i} {{ A{j} -> A{j} }}", "block A0 {{ Liner(64) -> relu }}", "  A30"),
    "recipes": ("a{i} = a{j} -> a{j}", "a0 = Linear(64) -> relu", "  a30"),
    "arguments": ("block A{i}(f) {{ A{j}(f -> f) }}", "block A0(f) {{ f }}", "  A30(Linear(64))"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_calls_that_double_are_told(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolding, "MOST_STAGES", 3_000)
    line, first, body = CALLS[kind]
    text = model(body, "\n".join([first.format(), *(line.format(i=i, j=i - 1) for i in range(1, 31)), ""]))
    found = analyse(Source("large.dlspec", text)).diagnostics
    assert [d.code for d in found] == [*(["unknown-layer"] if kind == "faulty blocks" else []), "too-large"]


COPIES = {
    "three deep": ("  repeat(1_000) { repeat(1_000) { repeat(1_000) { Linear(64) } } }", "repeat"),
    "eight deep": (f"  {'repeat(10) { ' * 8}Linear(64){' }' * 8}", "repeat"),
    "each of its own": ("  repeat(1_000, index = i) { repeat(1_000, index = j) { Linear(64) } }", "repeat"),
    "one after the other": ("  a: { repeat(90_000) { relu } }\n  b: { repeat(90_000) { relu } }", "b"),
    "experts": ("  experts(1_000_000_000) { Linear(64) }", "experts"),
    "called": ("  repeat(100_000) { relu } -> Once", "Once"),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_that_multiply_are_told_where_they_are_too_many(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolding, "MOST_STAGES", 3_000)
    body, place = COPIES[kind]
    found = analyse(Source("large.dlspec", model(body, "block Once { Linear(64) }\n"))).diagnostics
    assert [(d.code, d.span.text) for d in found if d.severity == "error"] == [("too-large", place)]


DEPTHS = {
    "groups": model(f"  {''.join(f'g{i}: {{ ' for i in range(DEEP))}Linear(64){' }' * DEEP}"),
    "braces": model(f"  {'{ ' * DEEP}Linear(64){' }' * DEEP}"),
    "residuals": model(f"  {'residual { ' * DEEP}Linear(64){' }' * DEEP}"),
    "repeats": model(f"  {'repeat(1) { ' * DEEP}Linear(64){' }' * DEEP}"),
    "parentheses": model(f"  {'(' * DEEP}Linear(64){')' * DEEP}"),
    "sums": model(f"  {'(relu + ' * DEEP}Linear(64){')' * DEEP}"),
    "lists": model(f"  {'[' * DEEP}Linear(64){'] -> concat' * DEEP}"),
    "choices": model(f"  {'relu if 2 < 1 else ' * DEEP}Linear(64)"),
    "powers": model("  Linear(n)", f"n = 64 * {'1 ^ ' * DEEP}1\n"),
    "numbers": model("  Linear(n)", f"n = 64 * {'(1 * ' * DEEP}1{')' * DEEP}\n"),
    "blocks": model(
        "  B0", "".join(f"block B{i} {{ B{i + 1} }}\n" for i in range(DEEP)) + f"block B{DEEP} {{ Linear(64) }}\n"
    ),
    "arguments": model(f"  {'B(' * DEEP}identity{')' * DEEP}", "block B(inner) { Linear(64) -> inner }\n"),
    "labelled repeats": model(f"  {''.join(f'r{i}: repeat(1) {{ ' for i in range(DEEP))}Linear(64){' }' * DEEP}"),
    "residual blocks": model(
        "  B0",
        "".join(f"block B{i} {{ residual {{ B{i + 1} }} }}\n" for i in range(DEEP))
        + f"block B{DEEP} {{ Linear(64) }}\n",
    ),
    "dense": model(f"  {'dense { ' * DEEP}Linear(64){' }' * DEEP} -> Linear(64)"),
    "share": model(f"  {'share(1) { ' * DEEP}Linear(64){' }' * DEEP}"),
    "checkpoint": model(f"  {'checkpoint { ' * DEEP}Linear(64){' }' * DEEP}"),
    "experts": model(f"  {'experts(1, top = 1) { ' * DEEP}Linear(64){' }' * DEEP}"),
}


def test_the_collector_is_as_it_was() -> None:
    assert gc.isenabled()
    analyse(Source("scale.dlspec", layers(3)))
    assert gc.isenabled()
    gc.disable()
    try:
        analyse(Source("scale.dlspec", layers(3)))
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", DEPTHS)
def test_two_hundred_deep(kind: str) -> None:
    analysis = analyse(Source("deep.dlspec", DEPTHS[kind]))
    assert analysis.diagnostics == []
    assert set(analysis.graphs) == {"Scale"}


ON_A_SPEC = {
    "check": ["FILE"],
    "fmt": ["FILE"],
    "show": ["FILE"],
    "show --svg": ["FILE", "--svg", "deep.svg"],
    **{f"show --stage {stage}": ["FILE", "--stage", stage] for stage in STAGES},
    "plan": ["FILE", "--memory", "1GB"],
    "emit": ["FILE", "-o", "emitted"],
    "diff": ["FILE", "other.dlspec"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DEPTHS)
def test_every_verb_goes_two_hundred_deep(kind: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text = DEPTHS[kind]
    write(text.replace("Scale", "Other"), "other.dlspec")
    limit = sys.getrecursionlimit()
    for words, rest in ON_A_SPEC.items():
        name = write(text, "deep.dlspec")
        code = main([words.split()[0], *(name if word == "FILE" else word for word in rest)])
        said = capsys.readouterr()
        assert code == 0, f"{words}: {said.err[-400:]}"
        assert said.out, words
    assert sys.getrecursionlimit() == limit
    for emitted in Path("emitted").glob("*.py"):
        compile(emitted.read_text(encoding="utf-8"), emitted.name, "exec")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", DEPTHS)
async def test_an_editor_is_answered_two_hundred_deep(kind: str, client: EditorClient) -> None:
    text = DEPTHS[kind]
    editor = Editor(client, "file:///deep.dlspec", text).open()
    with room_for_depth():  # the client reads answers level by level too
        assert {found.severity for found in await editor.findings()} <= {types.DiagnosticSeverity.Information}
        asked = client.text_document_document_symbol_async(types.DocumentSymbolParams(editor.document))
        symbols = await asyncio.wait_for(asked, timeout=60)
        assert await editor.hover("Line") is not None
        assert await editor.items("Linear") != {}
        assert not analyse(Source("deep.dlspec", editor.edited(await editor.layout()))).failed
    await editor.close()
    entries = [one for one in symbols or () if isinstance(one, types.DocumentSymbol)]
    depth, inside = 0, [one for one in entries if one.name == "Scale"]
    while inside:
        depth, inside = depth + 1, list(inside[0].children or ())
    assert depth == (DEEP + 1 if kind in ("groups", "labelled repeats") else 1)


@pytest.mark.parametrize("kind", DEPTHS)
def test_two_hundred_deep_and_broken_off(kind: str) -> None:
    text = DEPTHS[kind]
    for end in (len(text) // 3, len(text) // 2, len(text) - 4):
        assert analyse(Source("deep.dlspec", text[:end])).failed


def test_what_is_too_deep_is_told_once() -> None:
    text = model("  Linear(n)", f"n = {'(1 * ' * 600}64{')' * 600}\n")
    assert [d.code for d in analyse(Source("deep.dlspec", text)).diagnostics] == ["too-deep"]
