"""A model whose lengths have a least size, from its data to its exported file: shorter ones are refused, not tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlspec.cli.main import main
from dlspec.runtime.export.trials import trial_sizes
from dlspec.runtime.metadata import Metadata, read_metadata, write_metadata
from dlspec.runtime.settings import Port

# A window of 3, then one of 2, over what is left: 4 steps are the least, though nobody says so.
STEPS = """dlspec 1

model Steps: (x: [B, 2, T]) -> (y: [B, 3]) {
  conv: Conv1d(4, kernel = 3) -> relu -> max_pool(2)
  mean(over = [T]) -> head: Linear(3)
}

train Steps {
  data      = arrays("steps.npz")
  loss      = mse(y, data.z)
  optimizer = AdamW(lr = 1e-2)
  steps     = 2
  batch     = 4
}

export Steps {
  onnx("steps.onnx")
  torchscript("steps.pt")
}
"""
LETTERS = """dlspec 1

model Letters: (tokens: int[B, 3 <= T <= 12]) -> (logits: [B, T, 9]) {
  tok: Embedding(9, 8) + pos: Positions(12, 8)
  residual { attn: SelfAttention(2, causal = true) }
  head: Linear(9)
}

train Letters {
  data      = text("letters.txt", tokenizer = characters, window = 8)
  loss      = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-2)
  steps     = 2
  batch     = 2
}

export Letters { onnx("letters.onnx") }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both specs, trained and exported."""
    folder = tmp_path_factory.mktemp("bounds")
    draw = np.random.default_rng(0)
    np.savez(folder / "steps.npz", x=draw.standard_normal((20, 2, 9), np.float32), z=np.zeros((20, 3), np.float32))
    (folder / "letters.txt").write_text("abcdefg \n" * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, text in (("steps", STEPS), ("letters", LETTERS)):
            Path(f"{name}.dlspec").write_text(text)
            assert main(["train", f"{name}.dlspec", "--run", name, "--quiet"]) == 0
            assert main(["export", name, "-o", f"{name}_files", "--quiet"]) == 0
    return folder


def tried(report: Path) -> list[dict[str, Any]]:
    files = json.loads(report.read_text())["files"]
    return [stage for file in files.values() if file["proof"] for stage in file["proof"]["stages"]]


@pytest.mark.parametrize(("name", "least"), [("steps", 4), ("letters", 3)])
def test_a_proof_tries_no_shape_that_is_too_small(place: Path, name: str, least: int) -> None:
    stages = tried(place / f"{name}_files" / "export_report.json")
    assert stages
    for stage in stages:
        lengths = {int(one["sizes"].rpartition("T=")[2]) for one in stage["comparisons"]}
        assert min(lengths) == least and len(lengths) >= 3
        assert stage["refused"] == []


@pytest.mark.parametrize("model", ["steps", "steps_files/steps.onnx"])
def test_an_input_that_is_too_short_is_refused(
    place: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    np.save("x.npy", np.zeros((1, 2, 3), np.float32))
    assert main(["predict", model, "--input", "x.npy"]) == 1
    assert "the input x [B, 2, T] was given 3 where T is 4 at least" in capsys.readouterr().err
    np.save("x.npy", np.zeros((1, 2, 4), np.float32))
    assert main(["predict", model, "--input", "x.npy"]) == 0


@pytest.mark.parametrize("model", ["letters", "letters_files/letters.onnx"])
def test_a_prompt_that_is_too_short_is_refused(
    place: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert main(["generate", model, "--prompt", "ab", "--tokens", "2"]) == 1
    assert "the text is 2 tokens, and T is 3 at least" in capsys.readouterr().err
    assert main(["generate", model, "--prompt", "abc", "--tokens", "2"]) == 0


def test_data_that_is_too_short_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("steps.dlspec").write_text(STEPS)
    np.savez("steps.npz", x=np.zeros((20, 2, 3), np.float32), z=np.zeros((20, 3), np.float32))
    assert main(["train", "steps.dlspec", "--run", "run", "--quiet"]) == 1
    assert "T is 4 at least, and here 3" in capsys.readouterr().err


def test_what_a_file_says_of_itself_holds_both_bounds() -> None:
    ports = (Port("x", "float", ("B", "16 * H", "T")),), (Port("y", "float", ("B",)),)
    metadata = Metadata("1", "2", *ports, {"T": 9}, least={"H": 2, "T": 3})
    again = read_metadata(write_metadata(metadata), "a.onnx")
    assert (again.limits, again.least) == ({"T": 9}, {"H": 2, "T": 3})


def test_a_file_of_before_says_nothing_of_a_least_size() -> None:
    metadata = Metadata("1", "2", (Port("x", "float", ("B", "T")),), (), {"T": 9}, least={"T": 3})
    entries = write_metadata(metadata)
    (stored,) = json.loads(entries["dlspec.inputs"])
    del stored["least"]
    assert read_metadata(entries | {"dlspec.inputs": json.dumps([stored])}, "a.onnx").least == {}


@pytest.mark.parametrize(("least", "most"), [(4, 512), (100, 10_000), (5, 6), (3, 3)])
def test_trials_lie_between_the_bounds(least: int, most: int) -> None:
    metadata = Metadata("", "", (Port("x", "int", ("B", "T")),), (), {"T": most}, least={"T": least})
    lengths = [sizes["T"] for sizes in trial_sizes(metadata)]
    assert min(lengths) == least and max(lengths) <= most and len(lengths) >= 3
    assert len(set(lengths)) >= min(5, most - least + 1)
    assert most > 512 or most in lengths
