"""`dlspec bench` on the command line: tables, JSON, and what it tells of mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bench_cases import SPEC, written_to

from dlspec.cli.main import main
from dlspec.runtime.bench import step


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written_to(tmp_path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "MOST", 3)


def test_the_verb_shows_tables(folder: Path, quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpt.dlspec", "--device", "cpu"]) == 0
    kernels, steps = capsys.readouterr().out.split("\n\n")
    heads = [line.split() for line in (kernels.splitlines()[0], steps.splitlines()[0])]
    assert heads == [["kernel", "by", "forward", "backward", "both"], ["kernels", "model", "step", "tokens"]]
    assert "  blocks.0-2.attn\n" in kernels and "[4, 32, 2, 16] float32" in kernels and " GB/s" in kernels
    assert [line.split()[:4] for line in steps.splitlines()[1:]] == [
        ["triton", "as", "it", "is"],
        ["torch", "as", "it", "is"],
    ]


def test_the_verb_gives_json(folder: Path, quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpt.dlspec", "--device", "cpu", "--json", "--set", "train.batch=2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1 and found["spec"] == "gpt" and found["recipe"] == "GPT" and found["device"] == "cpu"
    assert (found["batch"], found["dims"], found["precision"]) == (2, {"B": 2, "T": 32}, "fp32")
    assert {"attention", "norm"} <= {one["kind"] for one in found["kernels"]}
    first, second = found["steps"]
    assert (first["kernels"], second["kernels"], first["compiled"]) == ("triton", "torch", False)
    assert first["tokens_per_second"] > 0 and first["mfu"] is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_what_it_needs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpt.dlspec"]) == 1
    error, help = capsys.readouterr().err.splitlines()
    assert error.startswith("error: bench needs a GPU: ") and "`--device cpu`" in help


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--device", "tpu"], 1, "there is no device tpu"),
        (["--device", "cpu", "--kernels", "cuda"], 2, "invalid choice: 'cuda'"),
        (["--device", "cpu", "--recipe", "other"], 2, "there are: GPT"),
        (["--device", "cpu", "--set", "contxt=40"], 1, "`context`"),
        (
            ["--device", "cpu", "--set", 'train.data=text("none.txt", tokenizer = characters, window = 8)'],
            1,
            "none.txt",
        ),
    ],
)
def test_mistakes_are_told_as_everywhere(
    folder: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "gpt.dlspec", *words]) == code
    captured = capsys.readouterr()
    assert says in captured.err and captured.out == "" and "Traceback" not in captured.err


def test_a_spec_without_a_recipe_is_told_what_to_write(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bare.dlspec").write_text(SPEC.partition("train GPT")[0])
    assert main(["bench", "bare.dlspec", "--device", "cpu"]) == 1
    assert "Write `train GPT { ... }`." in capsys.readouterr().err


@pytest.mark.slow
def test_the_commands_of_its_page_run(repo: Path, tmp_path: Path) -> None:
    page = (repo / "docs" / "reference" / "bench.md").read_text(encoding="utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    (script,) = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    run = subprocess.run(
        ["bash", "-c", f"set -eu\n{script}"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    document = json.loads(run.stdout.splitlines()[-1])
    words = set(re.findall(r"`(\w+)`", page.partition("## As JSON")[2]))
    assert set(document) - {"schema", "spec", "recipe"} <= words
    assert {key for step in document["steps"] for key in step} <= words
    assert os.listdir(tmp_path) == ["digits.dlspec"]
