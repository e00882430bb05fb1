"""iris: 150 flowers of three kinds, by the lengths and widths of their sepals and petals."""

from __future__ import annotations

from typing import ClassVar

from .embedded import Embedded


class Iris(Embedded):
    """`iris`: 150 flowers of three kinds, by the lengths and widths of their sepals and petals (Fisher 1936).

    Fields: `features`, [4], scaled to a mean of 0 and a deviation of 1, and `label`, 0 to 2.
    `split` is [0.8, 0.2] where it is left out.
    """

    word: ClassVar[str] = "iris"
    example: ClassVar[str] = "iris"
    measurements: ClassVar[int] = 4
    classes: ClassVar[int | None] = 3
