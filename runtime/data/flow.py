"""Augmentations in a row."""

from __future__ import annotations

from collections.abc import Sequence

from .augmentation import Augmentation, Batch, Fields
from .chance import Draws


class Flow:
    """`fields` are those that go out of the last one."""

    def __init__(self, stages: Sequence[Augmentation], fields: Fields) -> None:
        self._stages = stages
        self.fields = stages[-1].fields if stages else fields

    def __bool__(self) -> bool:
        return bool(self._stages)

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        for place, stage in enumerate(self._stages):
            batch = stage.apply(batch, draws.of(place))
        return batch
