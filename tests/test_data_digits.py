"""The digits that come with scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from data_cases import everything

from dlspec.runtime.data import Field, open_data


def test_digits_are_cut_alike_for_every_seed() -> None:
    data, again = (open_data({"source": "digits", "options": {}}, base=Path(), seed=seed) for seed in (0, 9))
    train, held = everything(data.train), everything(data.validation)
    assert (len(data.train), len(train["label"]), len(held["label"])) == (1437, 1437, 360)
    assert train["image"].shape == (1437, 1, 8, 8) and train["image"].dtype == torch.float32
    assert float(train["image"].min()) == 0 and float(train["image"].max()) == 1
    assert set(held["label"].tolist()) == set(range(10))
    assert data.fields["label"] == Field("int", (), 10, tuple("0123456789"))
    for name, values in everything(again.train, epoch=3).items():
        assert torch.equal(values, train[name])

    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pictures = torch.cat([train["image"], held["image"]]).flatten(1) * 16
    ours = zip(pictures.tolist(), [*train["label"].tolist(), *held["label"].tolist()], strict=True)
    theirs = zip(images.tolist(), labels.tolist(), strict=True)
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    ids = torch.tensor([7, 7, 0])
    assert torch.equal(data.train.batch(0, ids)["image"], train["image"][ids])


def test_digits_without_scikit_learn_name_the_extra() -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from pathlib import Path; from dlspec.runtime.data import DataError, open_data\n"
        "try: open_data({'source': 'digits', 'options': {}}, base=Path(), seed=0)\n"
        "except DataError as fault: print(fault.message, '|', fault.help)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the digits come with scikit-learn, which is not installed | pip install dlspec[digits]\n"
