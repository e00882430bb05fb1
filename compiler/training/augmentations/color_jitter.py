"""color_jitter: colours changed at random."""

from __future__ import annotations

from typing import ClassVar

from ...layers.options import NotNegative, Probability
from ...semantics.number import real
from ..augmentation import Augmentation, Fields, Unfit, pictures
from ..values import HalfOrLess


class ColorJitter(Augmentation):
    """`color_jitter(brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1, p = 1)`: colours changed at random.

    `brightness`, `contrast` and `saturation` are multiplied by a factor that lies that much above or below 1; the
    `hue` is turned by up to that part of the circle, 0.5 at most, in this order. `p` is the probability. Pixels are
    from 0 to 1 and stay so: it stands before `normalize`. Saturation and hue are for pictures of three channels.
    """

    word: ClassVar[str] = "color_jitter"
    from_0_to_1: ClassVar[bool] = True
    example: ClassVar[str] = "color_jitter(brightness = 0.4, contrast = 0.4)"

    brightness: NotNegative = 0
    contrast: NotNegative = 0
    saturation: NotNegative = 0
    hue: HalfOrLess = 0
    p: Probability = 1

    def after(self, fields: Fields) -> Fields:
        for channels, _, _ in pictures(self.word, fields).values():
            for option in ("saturation", "hue"):
                if real(getattr(self, option)) and channels.value not in (None, 3):
                    message = f"`{option}` is of pictures of three channels, and these have {channels.value}"
                    raise Unfit("unfit-augmentation", message, "no colours here", f"take `{option}` out", option)
        return fields
