"""cutmix: a rectangle of another picture, and as much of its label."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import Positive
from ..augmentation import Augmentation, Fields, Unfit, pictures


class Cutmix(Augmentation):
    """`cutmix(1)`: a rectangle of another picture, and as much of its label (Yun et al. 2019).

    The part is drawn from the beta distribution with both parameters `alpha`; the loss is mixed as the labels are.
    """

    word: ClassVar[str] = "cutmix"
    example: ClassVar[str] = "cutmix(1)"

    alpha: Positive = 1

    def after(self, fields: Fields) -> Fields:
        pictures(self.word, fields)
        if "label" not in fields:
            message = "`cutmix` mixes labels too, and the data has no field `label`"
            raise Unfit("unfit-augmentation", message, "no label to mix", "take it out")
        return fields
