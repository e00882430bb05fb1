"""fsdp: weights shared out among the devices."""

from __future__ import annotations

from typing import ClassVar

from ..parallelism import Parallel


class Fsdp(Parallel):
    """`fsdp`: every device holds a part of the weights, gradients and optimizer state, and computes a
    part of the batch."""

    word: ClassVar[str] = "fsdp"
    example: ClassVar[str] = "fsdp"
    runs: ClassVar[bool] = False
