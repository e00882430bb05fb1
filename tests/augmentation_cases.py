"""Small data, and what augmentations make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlspec.runtime.data import Data, Field, Split
from dlspec.runtime.data.augmented import augmented
from dlspec.runtime.data.rows import Rows

COUNT = 24


def one(word: str, **options: Any) -> dict[str, Any]:
    return {"word": word, "options": options}


def data(size: tuple[int, int] = (10, 12), channels: int = 3, **more: Tensor) -> Data:
    """Pictures whose pixels are all different, labels 0 to 4, and other columns."""
    generator = torch.Generator().manual_seed(1)
    columns = {
        "image": torch.rand(COUNT, channels, *size, generator=generator),
        "label": torch.arange(COUNT) % 5,
        **more,
    }
    fields = {
        name: Field(
            "float" if column.is_floating_point() else "bool" if column.dtype == torch.bool else "int",
            tuple(column.shape[1:]),
            5 if name == "label" else None,
        )
        for name, column in columns.items()
    }
    half = np.arange(COUNT)
    return Data(train=Rows(columns, half), validation=Rows(columns, half), fields=fields)


def run(flow: list[dict[str, Any]], source: Data | None = None, seed: int = 0) -> Data:
    return augmented(source or data(), flow, seed)


def batch(split: Split | None, epoch: int = 0, ids: Tensor | None = None) -> dict[str, Tensor]:
    assert split is not None
    return split.batch(epoch, torch.arange(COUNT) if ids is None else ids)


def image(*flow: dict[str, Any], source: Data | None = None, epoch: int = 0) -> Tensor:
    return batch(run(list(flow), source).train, epoch)["image"]


def text(length: int = 50) -> Data:
    generator = torch.Generator().manual_seed(0)
    columns = {
        "tokens": torch.randint(0, 90, (200, length), generator=generator),
        "targets": torch.randint(0, 90, (200, length), generator=generator),
    }
    columns["targets"][:, -5:] = -100
    rows = Rows(columns, np.arange(200))
    return Data(train=rows, validation=rows, fields=dict.fromkeys(columns, Field("int", (length,), 91)))
