"""The batches of a training, in the order of its updates."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from .order import Order

if TYPE_CHECKING:
    from .data import Split


@dataclass(frozen=True)
class Portion:
    """What one update sees: the examples `ids` as they are in pass `epoch`."""

    epoch: int
    ids: Tensor
    batch: Mapping[str, Tensor]


class Feed:
    """Makes batches, with `ahead` the next one in a thread while the device works on this one.

    Batches are pure functions of the update, so it does not matter who makes them, when, or whether one is not used.
    """

    def __init__(self, order: Order, split: Split, ahead: bool) -> None:
        self._order = order
        self._split = split
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dlspec-feed") if ahead else None
        self._next: tuple[int, Future[Portion]] | None = None

    def portion(self, step: int) -> Portion:
        """The batch of update `step`, from 0."""
        if self._thread is None:
            return self._make(step)
        ready = self._next
        this = ready[1] if ready and ready[0] == step else self._thread.submit(self._make, step)
        portion = this.result()
        self._next = step + 1, self._thread.submit(self._make, step + 1)
        return portion

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _make(self, step: int) -> Portion:
        epoch, ids = self._order.batch_of(step)
        return Portion(epoch, ids, self._split.batch(epoch, ids))
