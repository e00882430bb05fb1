"""`--model` of `show` and `plan`: which model of a file is meant, and what is said where nobody says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_cases import LEARNS, Write, json_of, write

from dlspec.cli.main import main

pytestmark = pytest.mark.no_torch
__all__ = ["write"]  # a fixture

TWO = f"""{LEARNS}
train MLP as again {{
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = SGD(lr = 0.1)
  init      = normal(0.5)
  epochs    = 2
  batch     = 32
}}
model Critic: (x: [B, 8]) -> (score: [B, 1]) {{
  Linear(1)
}}
"""


def test_the_model_that_is_named_is_counted(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(TWO)
    assert main(["plan", file, "--json", "--model", "Critic"]) == 0
    document = json_of(capsys)
    assert (document["model"], document["recipe"], document["parameters"]) == ("Critic", None, 9)
    assert main(["plan", file, "--json", "--model", "MLP"]) == 0
    document = json_of(capsys)
    assert (document["model"], document["recipe"], document["batch"]) == ("MLP", "again", 32)
    assert main(["plan", file, "--json", "--model", "MLP", "--recipe", "MLP"]) == 0
    document = json_of(capsys)
    assert (document["model"], document["recipe"], document["batch"]) == ("MLP", "MLP", 64)


@pytest.mark.parametrize("verb", ["plan", "show"])
def test_a_file_of_several_models_says_which_is_shown(
    write: Write, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(TWO)
    assert main([verb, file]) == 0
    assert "note: the model shown is MLP; the file has Critic too (`--model Critic`)" in capsys.readouterr().err
    for asked in (["--model", "MLP"], ["--recipe", "MLP"]):
        assert main([verb, file, *asked]) == 0
        assert "the model shown" not in capsys.readouterr().err
    assert main([verb, write(LEARNS)]) == 0
    assert "the model shown" not in capsys.readouterr().err


def test_every_stage_is_that_of_the_model_that_is_named(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(TWO)
    for stage, text in ((["--stage", "ir"], "Linear(1)"), (["--stage", "module"], "class Critic"), ([], "Critic: x")):
        assert main(["show", file, "--model", "Critic", *stage]) == 0
        assert text in capsys.readouterr().out
    assert main(["show", file, "--model", "Critic", "--svg", str(tmp_path / "critic.svg")]) == 0
    assert "Critic" in (tmp_path / "critic.svg").read_text(encoding="utf-8")
    assert main(["show", file, "--stage", "kernels", "--model", "Critic"]) == 2
    assert "`--stage module` shows any model" in capsys.readouterr().err
    assert main(["show", file, "--stage", "module", "--recipe", "MLP"]) == 0
    assert "std=0.5" not in capsys.readouterr().out
    assert main(["show", file, "--stage", "module", "--model", "MLP"]) == 0
    assert "std=0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "Generator"], ["has no model Generator", "there are: MLP, Critic"]),
        (
            ["--model", "Critic", "--recipe", "again"],
            ["the recipe again trains MLP, not Critic", "no recipe trains Critic; leave out one of the two"],
        ),
    ],
)
def test_a_model_that_cannot_be_shown(
    write: Write, words: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", write(TWO), *words]) == 2
    told = capsys.readouterr().err
    assert all(text in told for text in says)
