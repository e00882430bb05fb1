"""Files of pictures to pixels, by Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Refused
from .picture_steps import covering

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""How names of pictures end."""


class UnreadablePicture(Refused):
    """A file that is no picture, a damaged one, or one of a kind that is not understood."""


def require_pillow() -> Any:
    """Pillow's module of pictures. Raises UnreadablePicture where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise UnreadablePicture(
            "reading pictures needs Pillow, which is not installed", 'pip install "dlspec[images]"'
        ) from None
    return Image


def decode_picture(content: bytes, name: str, channels: int, size: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Pixels [channels, height, width]: 3 channels are red, green and blue, 1 is gray.

    It stands as the camera was held (EXIF), what is transparent lies on white, of 16 bits the upper 8 are kept, and of
    a film it is the first picture. With `size`, [height, width], it is scaled until it just holds that, and the middle
    is cut out. `name` is for messages. Raises UnreadablePicture.
    """
    with _opened(content, name) as picture:
        pixels = _converted(_upright(picture, name), name, channels)
        if size is not None:
            pixels = _covering(pixels, size)
        array = np.array(pixels)  # Pillow's own memory is not to be written to
    return np.ascontiguousarray(array[None] if channels == 1 else array.transpose(2, 0, 1))


def _opened(content: bytes, name: str) -> Any:
    image = require_pillow()
    try:
        return image.open(io.BytesIO(content))
    except image.DecompressionBombError as error:
        raise UnreadablePicture(f"{name} is too large: {error}", "scale it down, or take it out") from None
    except Exception:
        raise UnreadablePicture(f"{name} is no picture that can be read", "replace it, or take it out") from None


def _upright(picture: Any, name: str) -> Any:
    from PIL import ImageOps

    try:
        picture.load()
        return ImageOps.exif_transpose(picture)
    except Exception as error:  # of a damaged file Pillow's readers raise whatever they stumble over
        raise UnreadablePicture(f"{name} is damaged or cut off: {error}", "replace it, or take it out") from None


def _converted(picture: Any, name: str, channels: int) -> Any:
    if picture.mode == "F":
        raise UnreadablePicture(f"{name} holds floats, not colours", "store it with 8 or 16 bits a channel")
    if picture.mode.startswith("I"):
        sixteen = np.asarray(picture).astype(np.int64)
        if sixteen.min() < 0 or sixteen.max() > 0xFFFF:
            raise UnreadablePicture(f"{name} holds more than 16 bits a pixel", "store it with 8 or 16")
        picture = require_pillow().fromarray((sixteen >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        white = require_pillow().new("RGBA", picture.size, "white")
        picture = require_pillow().alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("L" if channels == 1 else "RGB")


def _covering(picture: Any, size: Sequence[int]) -> Any:
    image = require_pillow()
    tall, wide = covering(size, picture.height, picture.width)
    if (tall, wide) != (picture.height, picture.width):
        picture = picture.resize((wide, tall), image.Resampling.BILINEAR)
    top, left = (tall - size[0]) // 2, (wide - size[1]) // 2
    return picture.crop((left, top, left + size[1], top + size[0]))
