"""A column of numbers with a stray word: what is said of it leads to the word."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.cli.main import main

SPEC = """\
dlspec 1
model M: (age: [B]) -> (y: [B, 2]) {
  age -> reshape([B, 1]) -> Linear(2)
}
train M {
  data      = table("people.csv", split = [0.8, 0.2])
  loss      = cross_entropy(y, data.label)
  optimizer = SGD(lr = 0.1)
  steps     = 1
  batch     = 4
}
"""


@pytest.mark.parametrize(
    ("strays", "help"),
    [
        ({12: "unknown"}, "its other cells are numbers, and `unknown` is none"),
        ({3: "old", 12: "young"}, "its other cells are numbers, and `old`, `young` are none"),
        (dict.fromkeys(range(40), "old") | {3: "young"}, "its words are classes: take them as int"),
    ],
)
def test_the_help_is_for_what_is_there(
    tmp_path: Path, strays: dict[int, str], help: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{strays.get(i, 20 + i)},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "people.csv").write_text("\n".join(["age,label", *rows]))
    (tmp_path / "m.dlspec").write_text(SPEC)
    assert main(["check", str(tmp_path / "m.dlspec"), "--data"]) == 1
    assert help in capsys.readouterr().out
