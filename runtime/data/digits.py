"""The handwritten digits that scikit-learn carries: 1797 pictures of 8 x 8 (Alpaydin and Kaynak, 1998)."""

from __future__ import annotations

import numpy as np
import torch

from . import options
from .dataset import Data, Field
from .faults import DataError
from .files import fingerprint_of
from .options import Options
from .rows import Rows, kept_back


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
    columns = {"image": torch.from_numpy(images), "label": torch.from_numpy(labels)}
    train, held = kept_back(len(labels), shares, "digits")
    return Data(
        train=Rows(columns, train),
        validation=Rows.some(columns, held),
        fields={
            "image": Field("float", (1, 8, 8)),
            "label": Field("int", (), 10, tuple("0123456789")),
        },
        fingerprint={"digits": fingerprint_of(images.tobytes() + labels.tobytes())},
    )
