"""wine: 178 wines of three growers, by what is in them."""

from __future__ import annotations

from typing import ClassVar

from .embedded import Embedded


class Wine(Embedded):
    """`wine`: 178 wines of three growers, by what is in them (Forina 1991).

    Fields: `features`, [13], scaled to a mean of 0 and a deviation of 1, and `label`, 0 to 2.
    `split` is [0.8, 0.2] where it is left out.
    """

    word: ClassVar[str] = "wine"
    example: ClassVar[str] = "wine"
    measurements: ClassVar[int] = 13
    classes: ClassVar[int | None] = 3
