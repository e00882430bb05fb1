"""mixup: pictures and labels of two examples laid over each other."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..augmentation import Augmentation, Fields, labelled_pictures


class Mixup(Augmentation):
    """`mixup(0.2)`: pictures and labels of two examples laid over each other (Zhang et al. 2018).

    The part is drawn from the beta distribution with both parameters `alpha`, once for a batch. Labels become the
    probabilities of the classes, which `cross_entropy` takes in their place.
    """

    word: ClassVar[str] = "mixup"
    mixes: ClassVar[bool] = True
    example: ClassVar[str] = "mixup(0.2)"

    alpha: Positive = 0.2

    def after(self, fields: Fields) -> Fields:
        labelled_pictures(self.word, fields)
        return fields
