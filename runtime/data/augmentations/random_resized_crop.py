"""random_resized_crop: a piece of random size and shape."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import picture_steps
from ..augmentation import Fields, PictureAugmentation
from ..chance import Draws
from .rectangles import random_rectangles


class RandomResizedCrop(PictureAugmentation):
    """A rectangle of each picture, scaled to `size` with antialiasing."""

    word = "random_resized_crop"
    moves = True
    levels = True

    def __init__(
        self,
        fields: Fields,
        size: tuple[int, int],
        scale: tuple[float, float] = (0.08, 1),
        ratio: tuple[float, float] = (0.75, 1.3333),
    ) -> None:
        self._size, self._scale, self._ratio = (size[0], size[1]), scale, ratio
        super().__init__(fields)

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        return self._size

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        boxes = random_rectangles(draws, pictures.shape[2], pictures.shape[3], self._scale, self._ratio)
        pieces = [
            picture_steps.resize(one[:, top : top + tall, left : left + wide], self._size)
            for one, top, left, tall, wide in zip(pictures.numpy(), *(box.tolist() for box in boxes), strict=True)
        ]
        return torch.stack([torch.from_numpy(piece) for piece in pieces])
