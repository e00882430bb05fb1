"""What an augmentation is: a stage behind a source, from the fields that come in to those that go out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .chance import Draws
from .dataset import Field
from .faults import DataError

Fields = Mapping[str, Field]

Batch = dict[str, "Tensor | list[Tensor]"]
"""A batch under way: pictures of several sizes are a list until they have one, of bytes as they were decoded until
something is done to them."""

PICTURES = ("image", "view1", "view2")
"""The fields that hold pictures, [channels, height, width]: both views where `two_views` has made them."""

IMAGE = "image"


@dataclass(frozen=True)
class Ragged(Field):
    """Pictures of several sizes; `dims` have the smallest height and the smallest width."""


class Augmentation(ABC):
    """Made for the fields that come in; `fields` are those that go out. Raises DataError where they do not fit."""

    word: str
    fields: Fields

    @abstractmethod
    def apply(self, batch: Batch, draws: Draws) -> Batch:
        """The examples changed, which are not written to."""


class PictureAugmentation(Augmentation):
    """Changes each picture by itself.

    One that `moves` pixels takes along what else an example has of the picture's height and width: a mask, or the
    picture that is to be made of it. One that `levels` brings pictures of several sizes to one.
    """

    moves: bool = False
    levels: bool = False

    def __init__(self, fields: Fields) -> None:
        sized = {name: self.size_after(*field.dims[1:]) for name, field in pictures(self.word, fields).items()}
        along = dict.fromkeys(_alike(fields), sized[IMAGE]) if self.moves and IMAGE in sized else {}
        self.fields = {
            **fields,
            **{name: self._sized(fields[name], size) for name, size in (sized | along).items()},
        }

    def size_after(self, height: int, width: int) -> tuple[int, int]:
        """The height and width that come out. Raises DataError where it is not for such pictures."""
        return height, width

    @abstractmethod
    def change(self, pictures: Tensor, draws: Draws) -> Tensor:
        """Pictures [examples, channels, height, width], or whole numbers for each of their pixels."""

    def apply(self, batch: Batch, draws: Draws) -> Batch:
        along = _alongside(batch) if self.moves else ()
        return {
            name: self._changed(value, draws.of(name))
            if name in PICTURES
            else self._along(value, draws.of(IMAGE))
            if name in along and isinstance(value, Tensor)
            else value
            for name, value in batch.items()
        }

    def _changed(self, pictures: Tensor | list[Tensor], draws: Draws) -> Tensor | list[Tensor]:
        if isinstance(pictures, Tensor):
            return self.change(pictures, draws)
        return stacked([self.change(unit(one)[None], draws.only(row))[0] for row, one in enumerate(pictures)])

    def _along(self, values: Tensor, draws: Draws) -> Tensor:
        height, width = values.shape[-2:]
        changed = self.change(values.reshape(len(values), -1, height, width), draws)
        return changed.reshape(*values.shape[:-2], *changed.shape[-2:])

    def _sized(self, field: Field, size: tuple[int, int]) -> Field:
        dims = (*field.dims[:-2], *size)
        if isinstance(field, Ragged) and self.levels:
            return Field(field.dtype, dims, field.classes, field.names)
        return replace(field, dims=dims)


def pictures(word: str, fields: Fields) -> dict[str, Field]:
    """The fields that hold pictures. Raises DataError where there are none."""
    found = {
        name: fields[name]
        for name in PICTURES
        if name in fields and fields[name].dtype == "float" and len(fields[name].dims) == 3
    }
    if not found:
        raise DataError(
            f"`{word}` is for pictures, and the data has no field image of floats [channels, height, width]",
            f"it has {', '.join(f'{name} {field.dtype}{list(field.dims)}' for name, field in fields.items())}",
        )
    return found


def unit(pictures: Tensor) -> Tensor:
    """Pixels from 0 to 1, whether they are floats already or still bytes."""
    return pictures / 255 if pictures.dtype == torch.uint8 else pictures


def stacked(pictures: list[Tensor]) -> Tensor | list[Tensor]:
    """One tensor where all have one size."""
    return torch.stack(pictures) if len({one.shape for one in pictures}) == 1 else pictures


def _alike(fields: Fields) -> list[str]:
    """What else has the height and width of `image`."""
    size = fields[IMAGE].dims[-2:]
    return [n for n, field in fields.items() if n not in PICTURES and len(field.dims) > 1 and field.dims[-2:] == size]


def _alongside(batch: Batch) -> list[str]:
    """The same of a batch."""
    image = batch.get(IMAGE)
    if not isinstance(image, Tensor):
        return []
    return [
        name
        for name, value in batch.items()
        if name not in PICTURES
        and isinstance(value, Tensor)
        and value.ndim > 2
        and value.shape[-2:] == image.shape[-2:]
    ]
