"""The tables of measurements that scikit-learn carries."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import datasets

from dlspec.cli.main import main
from dlspec.runtime.data import Data, DataError, open_data
from dlspec.runtime.data.rows import kept_back

# Rows, columns, classes.
TABLES = {"breast_cancer": (569, 30, 2), "diabetes": (442, 10, None), "iris": (150, 4, 3), "wine": (178, 13, 3)}


def embedded(word: str, seed: int = 0, **options: list[float]) -> Data:
    return open_data({"source": word, "options": options}, base=Path(), seed=seed)


def parts(data: Data) -> list[dict[str, torch.Tensor]]:
    assert data.validation is not None
    return [split.batch(0, torch.arange(len(split))) for split in (data.train, data.validation)]


@pytest.mark.parametrize("word", TABLES)
def test_fields(word: str) -> None:
    rows, columns, classes = TABLES[word]
    data = embedded(word)
    assert [len(part["features"]) for part in parts(data)] == [int(0.8 * rows), rows - int(0.8 * rows)]
    assert (data.fields["features"].dtype, data.fields["features"].dims) == ("float", (columns,))
    target = data.fields["target" if classes is None else "label"]
    assert (target.dtype, target.dims, target.classes) == (
        ("float", (1,), None) if classes is None else ("int", (), classes)
    )
    assert classes is None or len(target.names or ()) == classes
    again = embedded(word, seed=9)
    for one, other in zip(parts(data), parts(again), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("word", TABLES)
def test_what_is_known_of_the_training_part_is_the_scale(word: str) -> None:
    """Every row is there once, scaled alike: the training part has a mean of 0 and a deviation of 1."""
    arguments = {"scaled": False} if word == "diabetes" else {}
    raw, asked = getattr(datasets, f"load_{word}")(return_X_y=True, **arguments)
    train, held = parts(embedded(word))
    known = train["features"].double()
    assert known.mean(0).abs().max() < 1e-6 and (known.std(0, correction=0) - 1).abs().max() < 1e-6
    assert held["features"].mean(0).abs().max() > 1e-3
    found = torch.cat([train["features"], held["features"]]).double().numpy()
    target = "target" if word == "diabetes" else "label"
    told = torch.cat([train[target], held[target]]).flatten().numpy()
    order = np.concatenate(kept_back(len(raw), (0.8, 0.2), word))
    # Undone by the line through the columns' smallest and largest entries.
    low, high = raw.min(0), raw.max(0)
    back = low + (found - found.min(0)) / (found.max(0) - found.min(0)) * (high - low)
    assert np.allclose(back, raw[order], rtol=1e-4, atol=1e-5)
    assert told.tolist() == asked[order].tolist()


def test_all_of_it_may_be_trained_on() -> None:
    data = embedded("iris", split=[1.0, 0.0])
    assert len(data.train) == 150 and data.validation is None
    assert data.fields["label"].names == ("setosa", "versicolor", "virginica")


def test_without_scikit_learn_they_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError) as raised:
        embedded("wine")
    assert raised.value.message == "wine comes with scikit-learn, which is not installed"
    assert raised.value.help == "pip install dlspec[digits]"


@pytest.mark.slow
def test_logistic_regression_tells_tumours_apart(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """specs/logistic.dlspec: more than 95 % of those that it has not seen, by the run and by its file."""
    shutil.copy(repo / "specs" / "logistic.dlspec", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "logistic.dlspec", "--run", "run", "--quiet"]) == 0
    assert main(["export", "run", "-o", "models", "--quiet"]) == 0
    _, held = parts(embedded("breast_cancer"))
    np.save("held.npy", held["features"].numpy())
    capsys.readouterr()
    for model in ("run", "models/logistic.onnx"):
        assert main(["predict", model, "--input", "held.npy", "--json"]) == 0
        logits = [one["logit"] for one in json.loads(capsys.readouterr().out)["outputs"]]
        right = [(logit > 0) == bool(label) for logit, label in zip(logits, held["label"], strict=True)]
        assert sum(right) / len(right) > 0.95
    assert main(["verify-resume", "logistic.dlspec"]) == 0
