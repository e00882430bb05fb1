"""diabetes: 442 patients, and how their illness went on in a year."""

from __future__ import annotations

from typing import ClassVar

from .embedded import Embedded


class Diabetes(Embedded):
    """`diabetes`: 442 patients, and how their illness went on in a year (Efron et al. 2004).

    Fields: `features`, [10], scaled to a mean of 0 and a deviation of 1, and `target`, [1].
    `split` is [0.8, 0.2] where it is left out.
    """

    word: ClassVar[str] = "diabetes"
    example: ClassVar[str] = "diabetes"
    measurements: ClassVar[int] = 10
