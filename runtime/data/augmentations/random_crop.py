"""random_crop: a piece of the picture at a random place."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import picture_steps
from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .fixed import require_inside


class RandomCrop(PictureAugmentation):
    """`pad` pixels on all sides, then `size` pixels at a place that each example draws."""

    word = "random_crop"
    moves = True
    levels = True

    def __init__(self, fields: Fields, size: tuple[int, int], pad: int = 0) -> None:
        self._size, self._pad = (size[0], size[1]), pad
        super().__init__(fields)

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        require_inside(self.word, self._size, height + 2 * self._pad, width + 2 * self._pad)
        return self._size

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        padded = torch.from_numpy(picture_steps.pad(pictures.numpy(), self._pad))
        height, width = self._size
        tops = draws.below("top", padded.shape[2] - height + 1).tolist()
        lefts = draws.below("left", padded.shape[3] - width + 1).tolist()
        # Slices are copied row by row, far faster than pixels are gathered by index.
        pieces = [
            one[:, top : top + height, left : left + width] for one, top, left in zip(padded, tops, lefts, strict=True)
        ]
        return torch.stack(pieces)
