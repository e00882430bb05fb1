"""Examples that lie in memory, a row each."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .dataset import Split


class Rows(Split):
    """Some rows of columns that all have the same length. Splits of one table share its memory."""

    def __init__(self, columns: dict[str, Tensor], rows: NDArray[np.int64]) -> None:
        self._columns = columns
        self._rows = torch.from_numpy(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        rows = self._rows[ids]
        return {name: column.index_select(0, rows) for name, column in self._columns.items()}
