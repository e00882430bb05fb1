"""tensor: layers cut across the devices."""

from __future__ import annotations

from typing import ClassVar

from ..parallelism import Parallel
from ..values import Several


class Tensor(Parallel):
    """`tensor(2)`: the matrices of a layer are cut into parts for that many `devices`."""

    word: ClassVar[str] = "tensor"
    example: ClassVar[str] = "tensor(2)"
    runs: ClassVar[bool] = False

    devices: Several
