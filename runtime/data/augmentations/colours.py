"""The colours of pictures [examples, 3, height, width] from 0 to 1."""

from __future__ import annotations

import torch
from torch import Tensor

from ..augmentation import Fields, pictures
from ..faults import DataError

# How bright the three channels look (ITU-R BT.601).
BRIGHTNESS = (0.299, 0.587, 0.114)


def require_colours(word: str, fields: Fields) -> None:
    """Raises DataError for pictures of other than three channels."""
    for name, field in pictures(word, fields).items():
        if field.dims[0] != 3:
            raise DataError(f"`{word}` changes colours, and {name} has {field.dims[0]} channels, not 3", "take it out")


def grayscale(pictures: Tensor) -> Tensor:
    """The brightness, [examples, 1, height, width]; without colours the mean over the channels."""
    if pictures.shape[1] != 3:
        return pictures.mean(1, keepdim=True)
    red, green, blue = pictures.split(1, dim=1)
    return BRIGHTNESS[0] * red + BRIGHTNESS[1] * green + BRIGHTNESS[2] * blue


def turn_hue(pictures: Tensor, turns: Tensor) -> Tensor:
    """The hue moved on by a part of the circle of colours, [examples, 1, 1, 1]; brightest and palest channel keep
    their values (the hexagon of HSV; Smith 1978)."""
    red, green, blue = pictures.split(1, dim=1)
    most, least = pictures.amax(1, keepdim=True), pictures.amin(1, keepdim=True)
    spread = most - least
    scale = torch.where(spread > 0, spread, 1)
    sector = torch.where(
        most == red,
        (green - blue) / scale,
        torch.where(most == green, 2 + (blue - red) / scale, 4 + (red - green) / scale),
    )
    # Red, green and blue fall off with the distance of the hue from theirs.
    places = (torch.tensor([5.0, 3.0, 1.0])[:, None, None] + sector + 6 * turns) % 6
    return most - spread * torch.minimum(places, 4 - places).clamp(0, 1)
