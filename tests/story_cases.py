"""A run that is trained once for each file of tests of the command line, and a copy of it for each test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dlspec.cli.main import main

STORY = """dlspec 1
# A character model that is trained in a second.
vocab = 9
width = 16

model Story: (tokens: int[B, T <= 12]) -> (logits: [B, T, vocab]) {
  wte: Embedding(vocab, width) + wpe: Positions(12, width)
  residual(pre = LayerNorm) { attn: SelfAttention(2, causal = true) }
  head: Linear(vocab)
}

train Story {
  data      = text("story.txt", tokenizer = characters, window = 12)
  loss      = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-2)
  steps     = 12
  batch     = 4
  validate  = every(6)
  checkpoint = every(4, keep = 9)
}

export Story {
  onnx("story.onnx")
  torchscript("story.pt")
}
"""
LETTERS = "abcdefg \n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with story.dlspec, its data, and a finished run in `run`."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "story.dlspec").write_text(STORY)
    (folder / "story.txt").write_text("".join(LETTERS[i * i % 9] for i in range(600)) + LETTERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "story.dlspec", "--run", "run", "--quiet"]) == 0
    return folder


@pytest.fixture
def place(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, and the current folder."""
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Standard output is JSON lines and nothing else."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(line["schema"] == 1 for line in lines)
    return lines
