"""cutmix: a rectangle of another picture, and as much of its label."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..augmentation import Augmentation, Fields, labelled_pictures


class Cutmix(Augmentation):
    """`cutmix(1)`: a rectangle of another picture, and as much of its label (Yun et al. 2019).

    Its area is drawn from the beta distribution with both parameters `alpha`, once for a batch. Labels become the
    probabilities of the classes, which `cross_entropy` takes in their place.
    """

    word: ClassVar[str] = "cutmix"
    mixes: ClassVar[bool] = True
    example: ClassVar[str] = "cutmix(1)"

    alpha: Positive = 1

    def after(self, fields: Fields) -> Fields:
        labelled_pictures(self.word, fields)
        return fields
