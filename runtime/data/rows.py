"""Examples that lie in memory, a row each."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .dataset import Split
from .draws import parts_of, permutation
from .faults import DataError


class Rows(Split):
    """Some rows of columns that all have the same length. Splits of one table share its memory."""

    def __init__(self, columns: dict[str, Tensor], rows: NDArray[np.int64]) -> None:
        self._columns = columns
        self._rows = torch.from_numpy(rows)

    @classmethod
    def some(cls, columns: dict[str, Tensor], rows: NDArray[np.int64]) -> Rows | None:
        """The rows, or None where there are none."""
        return cls(columns, rows) if len(rows) else None

    @property
    def numbers(self) -> Tensor:
        """Which rows of the table these are (int64)."""
        return self._rows

    def column(self, name: str) -> Tensor:
        """These rows of a column."""
        return self._columns[name][self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        rows = self._rows[ids]
        return {name: column.index_select(0, rows) for name, column in self._columns.items()}


def kept_back(count: int, shares: tuple[float, float], what: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of `count` rows in two parts, for training and kept back for validation: the same for every seed, so
    that results compare, and out of order, since tables are often sorted. `what` has the rows, for the message.

    Raises DataError where none is left for training.
    """
    train_end, validation_end = parts_of(count, shares)
    if not train_end:
        raise none_for_training(what, count, "example")
    order = permutation(0, count)
    return order[:train_end], order[train_end:validation_end]


def none_for_training(what: str, count: int, thing: str) -> DataError:
    """`what` has so few things, pictures or examples, that the split leaves none of them to learn from."""
    counted = f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
    # Of two things the larger part of [0.9, 0.1] has one.
    larger = "write a larger part for training: `split = [0.9, 0.1]`"
    help = larger if count > 1 else f"add {thing}s: two parts take two or more; `split = [1, 0]` keeps none back"
    return DataError(f"{what} has {counted}: none is left for training", help)
