"""A step that draws nothing: resize, center_crop, normalize, and what stands for random crops in evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from ... import picture_steps
from ...picture_steps import Step
from ..augmentation import Fields, PictureAugmentation, pictures
from ..chance import Draws
from ..faults import DataError


class Fixed(PictureAugmentation):
    """One step of `picture_steps`."""

    def __init__(self, fields: Fields, step: Step) -> None:
        self.word, self._options = step
        self._step = step
        self.moves, self.levels = self.word != "normalize", self.word in ("resize", "center_crop")
        if self.word == "normalize":
            _require_channels(fields, len(self._options["mean"]))
        super().__init__(fields)

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        if self.word == "center_crop":
            require_inside("center_crop", self._options["size"], height, width)
        return picture_steps.size_after(self._step, height, width)

    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        return torch.from_numpy(picture_steps.apply(self._step, pictures.numpy()))


def require_inside(word: str, size: tuple[int, int], height: int, width: int) -> None:
    """Raises DataError where a piece of `size` is larger than the picture."""
    for wanted, have, side in zip(size, (height, width), ("high", "wide"), strict=True):
        if wanted > have:
            raise DataError(
                f"`{word}` cuts {wanted} pixels, and the smallest picture is {have} {side}",
                "cut less, or resize the pictures first",
            )


def _require_channels(fields: Fields, entries: int) -> None:
    for name, field in pictures("normalize", fields).items():
        if field.dims[0] != entries:
            raise DataError(
                f"`normalize` has numbers for {entries} channels, and {name} has {field.dims[0]}",
                "give a mean and a deviation for each channel",
            )
