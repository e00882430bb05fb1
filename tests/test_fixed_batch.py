"""A model that takes exactly so many examples at once: what is fed to it in training is held against that."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.cli.main import main

SPEC = """\
dlspec 1
model M: (image: [32, 1, 8, 8]) -> (logits: [32, 10]) {{
  reshape([4, 8, 64]) -> Linear(10) -> reshape([32, 10])
}}
train M {{
  data      = digits{split}
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 3e-3)
  steps     = 2
  batch     = {batch}
}}
"""


def written(path: Path, batch: str, split: str = "") -> str:
    (path / "m.dlspec").write_text(SPEC.format(batch=batch, split=split))
    return str(path / "m.dlspec")


def test_another_batch_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, "64")
    assert main(["check", spec]) == 1
    said = capsys.readouterr().out
    assert "64 examples go through the model at once, and M takes exactly 32" in said
    assert "write `B` in place of `32`" in said and "`image: [B, 1, 8, 8]`, `logits: [B, 10]`" in said
    assert main(["check", written(tmp_path, "64\n  accumulate = 2")]) == 0


def test_so_is_a_last_batch_of_fewer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    says = "the model takes exactly 32 examples at once, and the last batch of the 360 for validation has 8"
    spec, run = written(tmp_path, "32"), str(tmp_path / "run")
    assert main(["check", spec, "--data"]) == 1
    assert says in capsys.readouterr().out
    assert main(["train", spec, "--run", run]) == 1
    assert says in capsys.readouterr().err
    whole = written(tmp_path, "32", "(split = [1, 0])")
    assert main(["check", whole, "--data"]) == 0
    assert main(["train", whole, "--run", run]) == 0


def test_so_is_it_where_all_that_was_trained_on_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, run = written(tmp_path, "32", "(split = [1, 0])"), str(tmp_path / "run")
    assert main(["train", spec, "--run", run]) == 0
    assert main(["evaluate", run, "--split", "train"]) == 1
    said = capsys.readouterr().err
    assert "the model takes exactly 32 examples at once, and the last batch of the 1,797 for training has 5" in said
    assert "write `B` in place of 32: `image: [B, 1, 8, 8]`" in said


def test_what_comes_in_whole_batches_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, run = Path(written(tmp_path, "3", "(split = [1, 0])")), str(tmp_path / "run")
    spec.write_text(spec.read_text().replace("32", "3").replace("[4, 8, 64]", "[3, 64]"))
    assert main(["train", str(spec), "--run", run]) == 0
    assert main(["evaluate", run, "--split", "train"]) == 0
    assert "loss" in capsys.readouterr().out
