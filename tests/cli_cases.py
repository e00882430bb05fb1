"""Specs, and what the tests of the command line share. Loads no framework."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., str]

GOOD = """dlspec 1
model Net: (x: [B, 8]) -> (y: [B, 4]) {
  Linear(4)
}
"""
BAD = GOOD.replace("Linear", "Liner").replace("[B, 4]", "[B, 5]")
LATER = """dlspec 1
model Net: (x: [B, T, 8]) -> (y: [B, 8]) {
  mean(over = 1) -> repeat(2) {
    Linear(8) as a
    normal([B, T, 8]) -> mean(over = 1) as b
    a + b
  }
}
"""
LEARNS = """dlspec 1
classes = 10
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, classes]) {
  flatten -> Linear(classes)
}
train MLP {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  epochs    = 2
  batch     = 64
}
"""


def json_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Standard output is one JSON document and nothing else."""
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads(line)
    assert document["schema"] == 1
    return document


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "dlspec", *words], capture_output=True, text=True, **options)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of the current folder, an empty one, and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "net.dlspec") -> str:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write
