"""cutmix: a rectangle of another picture, and as much of its label."""

from __future__ import annotations

from torch import Tensor

from ..augmentation import PICTURES, Batch, Fields
from ..chance import Draws
from .mixing import LABEL, Mixing, partners


class Cutmix(Mixing):
    """One rectangle for the whole batch, as Yun et al. (2019) have it: about a place drawn evenly, cut at the edges."""

    word = "cutmix"

    def __init__(self, fields: Fields, alpha: float = 1) -> None:
        super().__init__(fields, alpha)

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        drawn = draws.of_batch("rectangle")
        side = (1 - drawn.beta(self._alpha, self._alpha)) ** 0.5
        across, down = drawn.random(2)
        mixed: Batch = {}
        part = 1.0
        for name, value in batch.items():
            if name in PICTURES and isinstance(value, Tensor):
                rows, columns = _around(down, side, value.shape[2]), _around(across, side, value.shape[3])
                cut = value.clone()
                cut[:, :, rows, columns] = partners(value)[:, :, rows, columns]
                mixed[name] = cut
                part = 1 - cut[0, 0, rows, columns].numel() / cut[0, 0].numel()
        return {**batch, **mixed, LABEL: self.mixed_labels(batch, part)}


def _around(place: float, side: float, length: int) -> slice:
    """The part `side` of an axis about a place on it."""
    middle, half = int(place * length), int(side * length) // 2
    return slice(max(0, middle - half), min(length, middle + half))
