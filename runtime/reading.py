"""Numbers on their way from a device to the CPU, while the device goes on with what it was told after."""

from __future__ import annotations

import torch
from torch import Tensor


class Reading:
    """Several scalars with one wait."""

    def __init__(self, *scalars: Tensor) -> None:
        together = torch.stack([scalar.detach().double() for scalar in scalars])
        self._there = None
        if together.is_cuda:
            together = together.to("cpu", non_blocking=True)  # into pinned memory
            self._there = torch.cuda.Event()
            self._there.record()
        self._values = together

    def values(self) -> list[float]:
        """Waits until they are there."""
        if self._there is not None:
            self._there.synchronize()
        return self._values.tolist()
