"""ddp: a copy of the model on every device."""

from __future__ import annotations

from typing import ClassVar

from ..parallelism import Parallel


class Ddp(Parallel):
    """`ddp`: every device holds the whole model and computes a part of the batch; gradients are averaged."""

    word: ClassVar[str] = "ddp"
    example: ClassVar[str] = "ddp"
    runs: ClassVar[bool] = False
