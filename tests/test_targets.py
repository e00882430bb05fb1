"""Targets that a loss or a metric does not take are refused before training, and in batches at the latest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dlspec.cli.main import main
from dlspec.runtime.data import Data, Field, Split, watched
from dlspec.runtime.errors import Refused
from dlspec.runtime.settings import Settings, Target, read_settings

CHANCE = np.random.default_rng(0)
TARGETS: dict[str, NDArray] = {
    "classes": np.arange(24) % 3,
    "column": np.arange(24).reshape(24, 1) % 2,
    "answers": np.arange(72).reshape(24, 3) % 2,
    "numbers": CHANCE.normal(size=24).astype(np.float32),
    "numbers_column": CHANCE.normal(size=(24, 1)).astype(np.float32),
    "flags": np.arange(24) % 2 == 1,
    "signs": (np.arange(24) % 2 * 2 - 1).reshape(24, 1),
    "chances": CHANCE.random((24, 3)).astype(np.float32),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, kind: str, loss: str, metric: str, width: int) -> None:
    """a.dlspec and a.npz, in the current folder."""
    x = np.arange(96, dtype=np.float32).reshape(24, 4) / 96
    np.savez(folder / "a.npz", x=x, y=TARGETS[kind])
    ending = " -> sigmoid" if loss == "binary_cross_entropy" else ""
    (folder / "a.dlspec").write_text(
        f"dlspec 1\nmodel Net: (x: [B, 4]) -> (out: [B, {width}]) {{\n  Linear({width}){ending}\n}}\n"
        f'train Net {{\n  data = arrays("a.npz")\n  loss = {loss}(out, data.y)\n  metrics = [{metric}(out, data.y)]\n'
        "  optimizer = AdamW(lr = 1e-3)\n  epochs = 1\n  batch = 8\n}\n"
    )


YES_OR_NO = "binary_cross_entropy_with_logits"


@pytest.mark.parametrize(
    ("kind", "loss", "metric", "width", "told"),
    [
        # What counts classes is not for what is asked entry by entry.
        ("column", YES_OR_NO, "f1", 1, "`f1` takes a logit for each class, and `out` is one score"),
        ("answers", YES_OR_NO, "f1", 3, "of yes-or-no answers there is `auroc(out, data.y)`"),
        ("numbers", "mse", "f1", 1, "`f1` takes a logit for each class"),
        ("column", YES_OR_NO, "accuracy", 1, "`accuracy` takes a logit for each class"),
        ("numbers", "mse", "auroc", 1, "auroc takes targets of 1, and 0 or -1, and the field y holds"),
        ("classes", "cross_entropy", "r2", 3, "r2 compares them entry by entry"),
        ("classes", "cross_entropy", "mse", 3, "the output out is [3] for an example, and the field y is []"),
        # Classes of another shape.
        ("column", "cross_entropy", "accuracy", 2, "the field y is int[1], and the loss takes int[]"),
        ("column", "focal", "accuracy", 2, "help: store y[:, 0]"),
        ("column", "hinge", "accuracy", 2, "help: store y[:, 0]"),
        ("answers", "cross_entropy", "accuracy", 3, "for several yes-or-no answers to one example there is"),
        # Classes of another type.
        ("numbers", "cross_entropy", "accuracy", 3, "help: store y.astype(numpy.int64)"),
        ("flags", "cross_entropy", "accuracy", 2, "help: store y.astype(numpy.int64)"),
        # Numbers that are none of those that are taken.
        ("classes", YES_OR_NO, "r2", 1, f"{YES_OR_NO} takes targets from 0 to 1, and the field y holds 2 (example "),
        ("numbers_column", "binary_cross_entropy", "r2", 1, "write 1 for yes and 0 for no"),
        ("signs", YES_OR_NO, "r2", 1, "the field y holds -1 (example 0)"),
        ("column", "hinge", "mse", 1, "of what is 1 for yes and 0 for no, store 2 * y - 1"),
        ("flags", "hinge", "mse", 1, "hinge takes targets of 1 or -1, and the field y holds False"),
    ],
)
def test_what_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str, loss: str, metric: str, width: int, told: str
) -> None:
    write(folder, kind, loss, metric, width)
    for line in (["check", "--data"], ["train", "--dry-run"], ["train", "--run", "run"]):
        assert main([line[0], "a.dlspec", *line[1:]]) == 1, line
        said = capsys.readouterr()
        assert told in said.out + said.err, line
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("kind", "loss", "metric", "width"),
    [
        ("column", YES_OR_NO, "auroc", 1),
        ("answers", YES_OR_NO, "auroc", 3),
        ("flags", YES_OR_NO, "r2", 1),
        ("chances", "binary_cross_entropy", "mae", 3),
        ("signs", "hinge", "auroc", 1),
        ("classes", "cross_entropy", "f1", 3),
        ("classes", "cross_entropy", "auroc", 3),
        ("classes", "hinge", "accuracy", 3),
        ("numbers", "mse", "r2", 1),
    ],
)
def test_what_fits_is_trained(folder: Path, kind: str, loss: str, metric: str, width: int) -> None:
    write(folder, kind, loss, metric, width)
    assert main(["check", "--data", "a.dlspec", "--quiet"]) == 0
    assert main(["train", "a.dlspec", "--run", "run", "--quiet"]) == 0


class Targets(Split):
    """Examples of which nobody has seen all."""

    def __init__(self, y: list[float]) -> None:
        self.y = torch.tensor(y)

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, epoch: int, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": self.y[ids]}


def asking(repo: Path, takes: str) -> Settings:
    known = read_settings(json.loads((repo / "tests/golden/digits.json").read_text()))
    return replace(known, targets=(Target("the_loss", "out", "y", takes),))  # type: ignore[arg-type]


@pytest.mark.parametrize(("takes", "fits"), [("unit", [0, 0.5, 1]), ("signs", [1, -1, 1]), ("flags", [0, 1, -100])])
def test_a_batch_is_refused_for_what_it_holds(repo: Path, takes: str, fits: list[float]) -> None:
    """The message names the example, and batches before it pass."""
    data = Data(Targets([*fits, 7.5]), None, {"y": Field("float", ())})
    guarded = watched(asking(repo, takes), data)
    for split in (guarded.train, guarded.train.in_evaluation()):
        assert len(split) == 4
        assert split.batch(0, torch.arange(3))["y"].tolist() == fits
        with pytest.raises(Refused, match=r"and the field y holds 7.5 \(example 3\)") as fault:
            split.batch(0, torch.tensor([1, 3]))
        assert fault.value.help


def test_pictures_that_are_drawn_again_are_not_normalized(repo: Path) -> None:
    data = Data(Targets([-0.5]), None, {"y": Field("float", ())})
    data.train.y = data.train.y.reshape(1, 1, 1, 1)  # type: ignore[attr-defined]
    with pytest.raises(Refused) as fault:
        watched(asking(repo, "unit"), data).train.batch(0, torch.tensor([0]))
    assert fault.value.help.startswith("pictures lie from 0 to 1 until `normalize` moves them")


def test_data_is_left_alone_where_any_number_will_do(repo: Path) -> None:
    data = Data(Targets([3.0]), None, {"y": Field("float", ())})
    assert watched(asking(repo, "entries"), data) is data


LANGUAGE = """dlspec 1
model LM: (tokens: int[B, T <= 8]) -> (logits: [B, T, 3]) {
  Embedding(3, 4) -> Linear(3)
}
train LM {
  data = text("abc.txt", tokenizer = characters, window = 8)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 4
  batch = 2
  sample = every(2, prompt = "PROMPT")
}
"""


def test_a_prompt_that_the_text_has_no_characters_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "abc.txt").write_text("abc" * 200)
    (folder / "a.dlspec").write_text(LANGUAGE.replace("PROMPT", "aÜ"))
    for line in (["check", "--data"], ["train", "--dry-run"], ["train", "--run", "run"]):
        assert main([line[0], "a.dlspec", *line[1:]]) == 1, line
        said = capsys.readouterr()
        told = "the prompt of `sample` cannot be told: the model does not know the character 'Ü' (U+00DC)"
        assert told in said.out + said.err, line
    assert not (folder / "run").exists()
    (folder / "a.dlspec").write_text(LANGUAGE.replace("PROMPT", "ab"))
    assert main(["train", "a.dlspec", "--dry-run", "--quiet"]) == 0
