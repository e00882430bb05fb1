"""color_jitter: colours changed at random."""

from __future__ import annotations

import torch
from torch import Tensor

from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .colours import grayscale, require_colours, turn_hue


class ColorJitter(PictureAugmentation):
    """Brightness, contrast, saturation, then hue, as torchvision computes each; pixels stay within 0 and 1."""

    word = "color_jitter"

    def __init__(
        self,
        fields: Fields,
        brightness: float = 0,
        contrast: float = 0,
        saturation: float = 0,
        hue: float = 0,
        p: float = 1,
    ) -> None:
        self._brightness, self._contrast, self._saturation, self._hue = brightness, contrast, saturation, hue
        self._probability = p
        if saturation or hue:
            require_colours(self.word, fields)
        super().__init__(fields)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        changed = pictures
        if self._brightness:
            changed = _blend(changed, torch.zeros(()), self._factors(draws, "brightness", self._brightness))
        if self._contrast:
            middle = grayscale(changed).mean((1, 2, 3), keepdim=True)
            changed = _blend(changed, middle, self._factors(draws, "contrast", self._contrast))
        if self._saturation:
            changed = _blend(changed, grayscale(changed), self._factors(draws, "saturation", self._saturation))
        if self._hue:
            changed = turn_hue(changed, _each(draws.uniform("hue", -self._hue, self._hue)))
        return torch.where(draws.chance("jitter", self._probability)[:, None, None, None], changed, pictures)

    def _factors(self, draws: Draws, what: str, reach: float) -> Tensor:
        return _each(draws.uniform(what, max(0.0, 1 - reach), 1 + reach))


def _each(numbers: Tensor) -> Tensor:
    """A number for each picture."""
    return numbers.float()[:, None, None, None]


def _blend(pictures: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    return (factors * pictures + (1 - factors) * other).clamp(0, 1)
