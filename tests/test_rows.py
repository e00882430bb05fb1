"""Whole numbers that pick from a table: told where none of its rows has them, before training and in prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dlspec
from dlspec.cli.main import main
from dlspec.compiler.ir.rows import rows_of_inputs
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source

SPEC = """\
dlspec 1
model M: (tokens: int[B, T]) -> (y: [B, 3]) {
  Embedding(40, 8) -> mean(over = 1) -> Linear(3)
}
train M {
  data      = arrays("tokens.npz")
  loss      = cross_entropy(y, data.label)
  optimizer = SGD(lr = 0.1)
  steps     = 2
  batch     = 4
}
"""


def folder_with(path: Path, most: int, least: int = 0) -> Path:
    tokens = np.full((20, 5), least)
    tokens[3, 2] = most
    np.savez(path / "tokens.npz", tokens=tokens, label=np.arange(20) % 3)
    (path / "m.dlspec").write_text(SPEC)
    return path / "m.dlspec"


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("tokens -> Embedding(40, 8)", {"tokens": 40}),
        ("tokens -> embed: { Embedding(30, 8) -> tanh }", {"tokens": 30}),
        ("tokens -> Embedding(40, 8) as a\n  tokens -> Embedding(20, 8) + a", {"tokens": 20}),
        ("tokens -> checkpoint { Embedding(50, 8) }", {"tokens": 50}),
        ("tokens + 1 -> Embedding(40, 8)", {}),
    ],
)
def test_the_rows_of_what_reads_an_input(body: str, rows: dict[str, int]) -> None:
    spec = f"dlspec 1\nmodel M: (tokens: int[B, T]) -> (y: [B, T, 8]) {{\n  {body}\n}}\n"
    assert rows_of_inputs(analyse(Source("m.dlspec", spec)).graphs["M"]) == rows


@pytest.mark.parametrize(
    ("most", "least", "says"),
    [(40, 0, "picks from a table of 40 rows, 0 to 39, and the field tokens holds 40"), (3, -1, "holds -1")],
)
def test_the_data_is_told_before_training(
    tmp_path: Path, most: int, least: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = folder_with(tmp_path, most, least)
    assert main(["check", str(spec), "--data"]) == 1
    assert says in capsys.readouterr().out
    assert main(["train", str(spec), "--run", str(tmp_path / "run"), "--device", "cpu"]) != 0
    assert "bug" not in capsys.readouterr().err


def test_numbers_that_are_no_rows_at_all_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = folder_with(tmp_path, 39)
    tokens = np.zeros((20, 5), np.uint64)
    tokens[3, 2] = 2**63
    np.savez(tmp_path / "tokens.npz", tokens=tokens, label=np.arange(20) % 3)
    for command in (["check", str(spec), "--data"], ["train", str(spec), "--run", str(tmp_path / "run")]):
        assert main(command) == 1
        said = capsys.readouterr()
        facts = "the array tokens of tokens.npz holds, in example 3, 9223372036854775808, and whole numbers end at"
        assert facts in said.out + said.err and "Traceback" not in said.err
    assert not (tmp_path / "run").exists()


def test_a_prediction_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = folder_with(tmp_path, 39)
    dlspec.train(spec, run=tmp_path / "run")
    dlspec.export(tmp_path / "run", tmp_path / "out", formats=["onnx"])
    for what in (tmp_path / "run", next((tmp_path / "out").glob("*.onnx"))):
        for row, fits in (([1, 2, 39], True), ([1, 2, 40], False), ([1, -1], False)):
            (tmp_path / "rows.json").write_text(f"[{row}]")
            code = main(["predict", str(what), "--input", str(tmp_path / "rows.json")])
            said = capsys.readouterr()
            assert (code == 0) == fits and "bug" not in said.err
            assert fits or "and it takes 0 to 39" in said.err
        for content, says in (
            ("[" * 99_999, "rows.json has too many brackets inside brackets"),
            (f"[[1, {'9' * 5000}]]", "rows.json holds a whole number of more than 4,300 digits"),
            (f"[[1, {2**63}]]", "tokens in rows.json holds 9223372036854775808, and whole numbers end at"),
        ):
            (tmp_path / "rows.json").write_text(content)
            assert main(["predict", str(what), "--input", str(tmp_path / "rows.json")]) == 1
            said = capsys.readouterr().err
            assert says in said and "bug" not in said and "Traceback" not in said


VOCABULARY = """\
dlspec 1
model L: (tokens: int[B, T]) -> (logits: [B, T, 9]) {{
  Embedding({rows}, 4) -> Linear(9)
}}
train L {{
  data      = text("a.txt", tokenizer = characters, window = 8)
  loss      = cross_entropy(logits, data.targets)
  optimizer = SGD(lr = 0.1)
  steps     = 2
  batch     = 2
}}
"""


def test_a_vocabulary_that_only_the_data_knows_is_held_against_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("abcdefghi" * 40)
    spec = tmp_path / "m.dlspec"
    spec.write_text(VOCABULARY.format(rows=5))
    says = "the input tokens picks from a table of 5 rows, and the tokenizer has 9 tokens"
    assert main(["check", str(spec), "--data"]) == 1
    assert says in capsys.readouterr().out
    assert main(["train", str(spec), "--run", str(tmp_path / "run"), "--device", "cpu"]) == 1
    assert says in capsys.readouterr().err
    spec.write_text(VOCABULARY.format(rows=9))
    assert main(["check", str(spec), "--data"]) == 0
