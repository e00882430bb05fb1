"""`dlspec evaluate`, `generate`, `predict`, `export` and `runs`."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from story_cases import STORY, lines_of, place, trained

from dlspec.cli.main import main

__all__ = ["place", "trained"]  # fixtures


def test_evaluate_gives_what_training_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "run", "--json"]) == 0
    (document,) = lines_of(capsys)
    last = json.loads((place / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert document["split"] == "validation" and document["values"]["loss"] == pytest.approx(last["loss"], abs=1e-12)
    assert main(["evaluate", "run", "--split", "train"]) == 0
    assert re.fullmatch(r"loss  \d\.\d+\n", capsys.readouterr().out)


def test_the_exported_file_alone_says_what_the_run_says(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", "-o", "models"]) == 0
    assert sorted(os.listdir("models")) == ["export_report.json", "story.onnx", "story.pt"]
    report = json.loads(Path("models/export_report.json").read_text())
    assert all(file["proof"]["ok"] for file in report["files"].values()) and report["step"] == 12
    assert "proved at" in capsys.readouterr().out
    asked = ["--prompt", "ab", "--tokens", "30", "--temperature", "0.7", "--top-k", "5", "--seed", "3"]
    (place / "story.txt").unlink()  # a trained model needs no data
    assert main(["generate", "run", *asked]) == 0
    said = capsys.readouterr().out
    assert said.startswith("ab") and len(said) == 2 + 30 + 1
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy("models/story.onnx", alone)
    monkeypatch.chdir(alone)
    assert main(["generate", "story.onnx", *asked]) == 0
    assert capsys.readouterr().out == said
    assert main(["generate", "story.onnx", *asked, "--json"]) == 0
    (document,) = lines_of(capsys)
    assert document["prompt"] + document["text"] + "\n" == said


def test_predict(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("x.npy", np.array([[1, 2, 3], [4, 5, 6]]))
    assert main(["predict", "run", "--input", "x.npy", "--json"]) == 0
    (document,) = lines_of(capsys)
    assert np.array([one["logits"] for one in document["outputs"]]).shape == (2, 3, 9)
    assert main(["predict", "run", "--input", "x.npy"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["--to", "onnx"], ["story.onnx"]),
        (["--to", "torchscript", "--no-proof"], ["story.pt"]),
        (["--to", "onnx", "--weights", "file"], ["story.onnx", "story.onnx.data"]),
        (["--to", "onnx", "--weights", "reference"], ["model.safetensors", "story.onnx"]),
        (["--to", "onnx", "--checkpoint", "4"], ["story.onnx"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_ways_to_export(place: Path, words: list[str], files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "run", "-o", "models", *words, "--json"]) == 0
    (document,) = lines_of(capsys)
    assert sorted(os.listdir("models")) == sorted([*files, "export_report.json"])
    assert document["report"]["step"] == (4 if "--checkpoint" in words else 12)
    proofs = [file["proof"] for file in document["report"]["files"].values()]
    assert any(proofs) == ("--no-proof" not in words)
    if "story.onnx" in files:
        assert main(["generate", "models/story.onnx", "--prompt", "a", "--tokens", "3"]) == 0


def test_an_export_section_that_asks_for_more_than_there_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = STORY.replace('onnx("story.onnx")', 'onnx("story.onnx", quantize = int8)')
    (place / "more.dlspec").write_text(spec)
    assert main(["train", "more.dlspec", "--run", "more", "--set", "train.steps=2", "--quiet"]) == 0
    assert main(["export", "more", "-o", "out"]) == 1
    err = capsys.readouterr().err
    assert "`quantize` of `onnx`" in err and "--to onnx" in err and not (place / "out").exists()
    assert main(["export", "more", "-o", "out", "--to", "onnx"]) == 0


def test_a_failed_proof_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dlspec.compiler.layers.layer_norm import LayerNorm

    def wrong(self: LayerNorm, g: Any, x: Any, x_type: Any, name: str, module: str) -> tuple[Any, ...]:
        inputs = [x, g.parameter(f"{module}.weight"), g.parameter(f"{module}.bias")]
        return (g.op("LayerNormalization", inputs, x_type, name, axis=-1, epsilon=0.5),)

    monkeypatch.setattr(LayerNorm, "onnx", wrong)
    assert main(["export", "run", "-o", "models", "--json"]) == 5
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit_code"] == 5 and "Nothing was written" in captured.err
    assert not (place / "models").exists()


def test_runs_are_listed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "."]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:3] == ["run", "Story", "12"] and row[-1] == "finished"
    assert main(["runs", ".", "--json"]) == 0
    (document,) = lines_of(capsys)
    assert document["runs"][0]["state"] == "finished" and document["runs"][0]["validation"] > 0
