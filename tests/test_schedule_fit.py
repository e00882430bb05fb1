"""A schedule in steps and a run in passes over the data: whether they go together, the data says before training."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlspec.cli.main import main

SPEC = """\
dlspec 1
model M: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {{
  flatten -> Linear(10)
}}
train M {{
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 3e-3)
  schedule  = {schedule}
  epochs    = 2
  batch     = 64
}}
"""


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("warmup(1_000) -> cosine(to = 0)", "`warmup` is longer than the run, which has 44 steps: 1,437 examples in"),
        ("warmup(44) -> cosine(to = 0)", "the stages before `cosine` take all of the run, which has 44 steps"),
        ("warmup(30) -> cosine(50%, to = 0)", "the stages up to `cosine` are longer than the run"),
        ("step_decay(0.1, at = [10, 44])", "`step_decay` names a place behind the end of the run"),
    ],
)
def test_a_schedule_longer_than_the_run_is_told(
    schedule: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, run = tmp_path / "m.dlspec", tmp_path / "run"
    spec.write_text(SPEC.format(schedule=schedule))
    assert main(["check", str(spec), "--data"]) == 1
    said = capsys.readouterr().out
    assert f"error: {says}" in said and "[schedule-too-long]" in said and ":9:15\n" in said
    for more in ([], ["--dry-run"]):
        assert main(["train", str(spec), "--run", str(run), *more]) == 1
        assert says in capsys.readouterr().err
    assert not run.exists()


@pytest.mark.parametrize(
    "schedule", ["warmup(43) -> cosine(to = 0)", "warmup(22) -> cosine(50%, to = 0)", "step_decay(0.1, at = [10, 43])"]
)
def test_one_that_fits_is_not_told(schedule: str, tmp_path: Path) -> None:
    spec = tmp_path / "m.dlspec"
    spec.write_text(SPEC.format(schedule=schedule))
    assert main(["check", str(spec), "--data"]) == 0
