"""pipeline: layers shared out among the devices."""

from __future__ import annotations

from typing import ClassVar

from ..parallelism import Parallel
from ..values import Several


class Pipeline(Parallel):
    """`pipeline(2)`: the layers are cut into that many stages of one after the other, on as many `devices`, which work
    on different parts of the batch."""

    word: ClassVar[str] = "pipeline"
    example: ClassVar[str] = "pipeline(2)"
    runs: ClassVar[bool] = False

    devices: Several
