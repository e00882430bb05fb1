"""breast_cancer: 569 tumours, by the shapes of their cells."""

from __future__ import annotations

from typing import ClassVar

from .embedded import Embedded


class BreastCancer(Embedded):
    """`breast_cancer`: 569 tumours, malignant (0) or benign (1), by the shapes of their cells
    (Wolberg et al. 1995).

    Fields: `features`, [30], scaled to a mean of 0 and a deviation of 1, and `label`, 0 to 1.
    `split` is [0.8, 0.2] where it is left out.
    """

    word: ClassVar[str] = "breast_cancer"
    example: ClassVar[str] = "breast_cancer"
    measurements: ClassVar[int] = 30
    classes: ClassVar[int | None] = 2
