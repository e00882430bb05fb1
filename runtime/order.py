"""Which examples an update sees: a pure function of the seed and the number of the update."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import Refused
from .seeds import derive_seed


class Order:
    """The shuffled order of the training examples.

    Each pass over the data is a permutation of its own; what does not fill a batch at the end of a pass is left out
    of that pass (another permutation leaves out others). The permutation of the current pass is kept.
    """

    def __init__(self, seed: int, examples: int, batch: int) -> None:
        if batch > examples:
            there = "is 1 training example" if examples == 1 else f"are {examples} training examples"
            raise Refused(
                f"a batch of {batch} is larger than the data: there {there}",
                f"Make `batch` at most {examples}." if examples else "Give training data.",
            )
        self.seed = seed
        self.examples = examples
        self.batch = batch
        self.per_epoch = examples // batch
        self._kept: tuple[int, Tensor] | None = None

    def batch_of(self, step: int) -> tuple[int, Tensor]:
        """The pass and the examples (int64 [batch]) of update `step`, counted from 0."""
        epoch, index = divmod(step, self.per_epoch)
        if self._kept is None or self._kept[0] != epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
            self._kept = epoch, torch.randperm(self.examples, generator=generator)
        return epoch, self._kept[1][index * self.batch : (index + 1) * self.batch]
