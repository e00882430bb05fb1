"""What `start` takes: maps, what is skipped, and where it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.cli.main import main
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source, parse
from dlspec.grammar.diagnostics import Diagnostic
from dlspec.grammar.printer import format

pytestmark = pytest.mark.no_torch

TEXT = """dlspec 1

model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {{
  flatten -> body: {{
    stem: Linear(16) -> relu
    blocks: repeat(2) {{ attn: {{ q: Linear(16) }} -> mlp: Linear(16) }}
  }}
  head: Linear(10)
}}

train Net {{
  data      = digits
  start     = {start}
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  epochs    = 1
  batch     = 32
}}
"""


def found(start: str) -> list[Diagnostic]:
    return analyse(Source("net.dlspec", TEXT.format(start=start))).diagnostics


RIGHT = [
    'weights("m.safetensors")',
    'weights("m.safetensors", map = ["fc" -> "head"])',
    'weights("m.safetensors", map = ["fc" -> transpose -> "head", "h.*.mlp" -> reshape -> "body.blocks.*.mlp"])',
    'weights("m.safetensors", map = ["h.*.qk" -> transpose -> ["body.blocks.*.attn.q", "body.blocks.*.mlp"]])',
    'weights("m.safetensors", map = [["a", "b"] -> "head"])',
    'weights("m.safetensors", map = ["fc" -> "head.weight", "fc_b" -> "head.bias"])',
    'weights("m.safetensors", skip = [head, body.stem, "classifier.*"])',
    'weights("m.safetensors", map = ["h.*" -> "blocks.*.mlp"], skip = [stem], into = body)',
    'hub("gpt2", into = body)',
    'hub("owner/name", map = ["fc" -> "head"])',
]


@pytest.mark.parametrize("start", RIGHT)
def test_nothing_is_said_of_what_is_right(start: str) -> None:
    assert found(start) == []


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ('names = ["fc" -> transpose -> "head", ["a", "b"] -> "body.stem"]', set()),
        ('names = ["fc" -> "hed"]', {("unknown-module", '"hed"')}),
        ('names = ["fc", "head"]', {("wrong-value", "names")}),
        ("names = 3", {("wrong-value", "names")}),
    ],
)
def test_a_map_may_be_a_constant(constants: str, said: set[tuple[str, str]]) -> None:
    text = TEXT.format(start='weights("m.safetensors", map = names)')
    source = Source("net.dlspec", text.replace("dlspec 1\n", f"dlspec 1\n{constants}\n"))
    assert {(d.code, d.span.text) for d in analyse(source).diagnostics} == said


@pytest.mark.parametrize("start", RIGHT)
def test_it_is_laid_out_as_it_means(start: str) -> None:
    source = Source("net.dlspec", TEXT.format(start=start))
    file, _ = parse(source)
    again, faults = parse(Source("net.dlspec", format(file, source)))
    assert not faults and again == file


@pytest.mark.parametrize(
    ("start", "code", "caret", "says"),
    [
        ('weights("m.safetensors", map = ["fc"])', "wrong-value", '"fc"', "the name in the file, then"),
        ('weights("m.safetensors", map = [])', "wrong-value", "[]", "take it out"),
        ('weights("m.safetensors", map = ["fc" -> head])', "wrong-value", '"fc" -> head', "such as"),
        ('weights("m.safetensors", map = ["fc" -> flatten -> "head"])', "unknown-name", "flatten", "write `reshape`"),
        ('weights("m.safetensors", map = ["fc" -> trnspose -> "head"])', "unknown-name", "trnspose", "`transpose`"),
        ('weights("m.safetensors", map = ["fc" -> transpose(1) -> "head"])', "wrong-value", "transpose(1)", "nothing"),
        ('weights("m.safetensors", map = ["fc" -> 2 -> "head"])', "wrong-value", "2", "`transpose` and `reshape`"),
        ('weights("m.safetensors", map = ["a.*" -> "body.blocks.0"])', "conflict", '"body.blocks.0"', "each `*`"),
        (
            'weights("m.safetensors", map = [["a", "b"] -> ["head", "body.stem"]])',
            "conflict",
            '["a", "b"] -> ["head", "body.stem"]',
            "an entry for each",
        ),
        (
            'weights("m.safetensors", map = ["a" -> reshape -> ["head", "body.stem"]])',
            "conflict",
            "reshape",
            "one name on each side",
        ),
        ('weights("m.safetensors", map = ["a" -> "head", "b" -> "head"])', "repeated-name", '"head"', "twice"),
        ('weights("m.safetensors", map = ["a" -> "head", "a" -> "body"])', "repeated-name", '"a"', "twice"),
        ('weights("m.safetensors", map = ["a" -> "body.stm"])', "unknown-module", '"body.stm"', '"body.stem"'),
        ('weights("m.safetensors", skip = [hed])', "unknown-module", "hed", "write `head`"),
        ('weights("m.safetensors", into = "body")', "wrong-value", '"body"', "such as"),
        ('weights("m.safetensors", into = bdy)', "unknown-module", "bdy", "write `body`"),
        ('weights("m.safetensors", skip = [head], into = body)', "unknown-module", "head", "body has no module"),
        ('weights("model.bin")', "wrong-value", '"model.bin"', "save_file"),
        ('weights("model.pt", skip = [head])', "wrong-value", '"model.pt"', "'model.safetensors'"),
        ("hub(gpt2)", "unknown-name", "gpt2", "gpt2"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(start: str, code: str, caret: str, says: str) -> None:
    (error,) = found(start)
    assert (error.code, error.span.text) == (code, caret)
    assert says in f"{error.message}\n{error.help}"


def test_a_diff_tells_entries_as_they_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    starts = [
        'weights("m.safetensors", map = ["fc" -> transpose -> "head"], skip = ["x.*"])',
        'weights("m.safetensors", map = [["fc", "fd"] -> "head"], skip = [body])',
    ]
    for name, start in zip("ab", starts, strict=True):
        (tmp_path / f"{name}.dlspec").write_text(TEXT.format(start=start))
    assert main(["diff", str(tmp_path / "a.dlspec"), str(tmp_path / "b.dlspec")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert '("fc" -> transpose -> "head") -> (["fc", "fd"] -> "head")' in said
    assert 'start.skip.0 "x.*" -> body' in said
