"""The handwritten digits that scikit-learn carries: 1797 pictures of 8 x 8 (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import numpy as np
import torch

from . import options
from .dataset import Data, DataError, Field
from .draws import parts_of, permutation
from .files import fingerprint_of
from .options import Options
from .table import Rows


def open_digits(settings: Options) -> Data:
    """image float[1, 8, 8] in 0..1, label int. The split is the same for every seed of a run: results compare."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise DataError(
            "the digits come with scikit-learn, which is not installed", "pip install dlspec[digits]"
        ) from None

    shares = options.split(settings, (0.8, 0.2))
    pixels, labels = load_digits(return_X_y=True)
    images = (np.asarray(pixels, np.float32) / 16).reshape(-1, 1, 8, 8)
    labels = np.asarray(labels, np.int64)
    order = permutation(0, len(labels))
    train_end, validation_end = parts_of(len(labels), shares)
    columns = {"image": torch.from_numpy(images), "label": torch.from_numpy(labels)}
    validation = order[train_end:validation_end]
    return Data(
        train=Rows(columns, order[:train_end]),
        validation=Rows(columns, validation) if len(validation) else None,
        fields={
            "image": Field("float", (1, 8, 8)),
            "label": Field("int", (), 10, tuple("0123456789")),
        },
        fingerprint={"digits": fingerprint_of(images.tobytes() + labels.tobytes())},
    )
