"""The small tables of measurements that scikit-learn carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from . import options
from .dataset import Data, Field
from .faults import DataError
from .files import fingerprint_of
from .options import Options
from .rows import Rows, kept_back

# What scikit-learn loads them with, and how: its own scaling of diabetes is undone.
LOADERS: Mapping[str, tuple[str, Mapping[str, bool]]] = {
    "breast_cancer": ("load_breast_cancer", {}),
    "diabetes": ("load_diabetes", {"scaled": False}),
    "iris": ("load_iris", {}),
    "wine": ("load_wine", {}),
}


def open_embedded(word: str, settings: Options) -> Data:
    """features float[n], scaled by the mean and deviation of the training part, and label int or target float[1]. The
    split is the same for every seed of a run: results compare."""
    try:
        from sklearn import datasets
    except ImportError:
        raise DataError(
            f"{word} comes with scikit-learn, which is not installed", "pip install dlspec[digits]"
        ) from None

    name, arguments = LOADERS[word]
    load: Callable[..., Mapping] = getattr(datasets, name)
    table = load(**arguments)
    measured, asked = np.asarray(table["data"], np.float64), np.asarray(table["target"])
    classes = tuple(map(str, table["target_names"])) if "target_names" in table else None
    fingerprint = fingerprint_of(measured.tobytes() + asked.astype(np.float64).tobytes())
    rows, kept = kept_back(len(measured), options.split(settings, (0.8, 0.2)), word)
    columns = {"features": torch.from_numpy(standardised(measured, rows))}
    fields = {"features": Field("float", measured.shape[1:])}
    if classes is None:
        columns["target"] = torch.from_numpy(asked.astype(np.float32).reshape(-1, 1))
        fields["target"] = Field("float", (1,))
    else:
        columns["label"] = torch.from_numpy(asked.astype(np.int64))
        fields["label"] = Field("int", (), len(classes), classes)
    return Data(
        train=Rows(columns, rows),
        validation=Rows.some(columns, kept),
        fields=fields,
        fingerprint={word: fingerprint},
    )


def standardised(measured: NDArray[np.float64], training: NDArray[np.int64]) -> NDArray[np.float32]:
    """Columns with a mean of 0 and a deviation of 1 over the rows that are trained on; nothing is learned from the
    others."""
    known = measured[training]
    return ((measured - known.mean(0)) / known.std(0)).astype(np.float32)
