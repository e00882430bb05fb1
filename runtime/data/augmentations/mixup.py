"""mixup: pictures and labels of two examples laid over each other."""

from __future__ import annotations

from torch import Tensor

from ..augmentation import PICTURES, Batch, Fields
from ..chance import Draws
from .mixing import LABEL, Mixing, partners


class Mixup(Mixing):
    """One part for the whole batch, as Zhang et al. (2018) have it."""

    word = "mixup"

    def __init__(self, fields: Fields, alpha: float = 0.2) -> None:
        super().__init__(fields, alpha)

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        part = float(draws.of_batch("part").beta(self._alpha, self._alpha))
        mixed: Batch = {
            name: part * value + (1 - part) * partners(value)
            for name, value in batch.items()
            if name in PICTURES and isinstance(value, Tensor)
        }
        return {**batch, **mixed, LABEL: self.mixed_labels(batch, part)}
