"""What augmentations draw for the examples of a batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..seeds import derive_seed
from .draws import scatter


@dataclass(frozen=True)
class Draws:
    """Numbers for each example of a batch, [examples]: pure functions of the seed, the example and what is drawn.

    It makes no difference in what company an example is drawn for, nor in what order things are asked for; the same
    thing asked for again is the same.
    """

    seed: int
    ids: NDArray[np.int64]

    def of(self, *purpose: str | int) -> Draws:
        """Draws of their own for a part of the work."""
        return replace(self, seed=derive_seed(self.seed, *purpose))

    def only(self, row: int) -> Draws:
        """Those of one example."""
        return replace(self, ids=self.ids[row : row + 1])

    def uniform(self, what: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """float64 [examples] from `low` to `high`."""
        return self.table(what, 1, low, high)[:, 0]

    def table(self, what: str, width: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """float64 [examples, width] from `low` to `high`."""
        bits = self._bits(what, width) >> np.uint64(11)
        return torch.from_numpy(low + (high - low) * (bits * 2.0**-53))

    def below(self, what: str, counts: Tensor | int) -> Tensor:
        """Whole numbers from 0 to below `counts`, of which there may be one for each example."""
        return (self.uniform(what) * counts).long()

    def chance(self, what: str, probability: float) -> Tensor:
        """bool [examples]: true with that probability."""
        return self.uniform(what) < probability

    def of_batch(self, what: str) -> np.random.Generator:
        """For what is drawn once for all: a generator that depends on every example of the batch."""
        return np.random.Generator(np.random.Philox(derive_seed(self.seed, what, self.ids.tobytes().hex())))

    def _bits(self, what: str, width: int) -> NDArray[np.uint64]:
        counter = self.ids.astype(np.uint64)[:, None] * np.uint64(width) + np.arange(width, dtype=np.uint64)
        return scatter(derive_seed(self.seed, what), counter)
