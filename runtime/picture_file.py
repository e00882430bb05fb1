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


def picture_size(content: bytes, name: str) -> tuple[int, int]:
    """Height and width as the picture is looked at, from the first bytes of the file. Raises UnreadablePicture."""
    with _opened(content, name) as picture:
        width, height = picture.size
        return (width, height) if picture.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE else (height, width)


def decode_picture(content: bytes, name: str, channels: int, size: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Pixels [channels, height, width]: 3 channels are red, green and blue, 1 is gray.

    It stands as the camera was held (EXIF), what is transparent lies on white, of 16 bits the upper 8 are kept, and of
    a film it is the first picture. With `size`, [height, width], it is scaled until it just holds that, and the middle
    is cut out. `name` is for messages. Raises UnreadablePicture.
    """
    with _opened(content, name) as picture:
        try:
            picture.load()
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise UnreadablePicture(f"{name} is damaged or cut off: {error}", "replace it, or take it out") from None
        pixels = _converted(picture, name, channels)
        if size is not None:
            pixels = _covering(pixels, size)
        array = np.array(pixels)  # Pillow's own memory is not to be written to
    return np.ascontiguousarray(array[None] if channels == 1 else array.transpose(2, 0, 1))


_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)


def _opened(content: bytes, name: str) -> Any:
    image = require_pillow()
    try:
        return image.open(io.BytesIO(content))
    except image.DecompressionBombError as error:
        raise UnreadablePicture(f"{name} is too large: {error}", "scale it down, or take it out") from None
    except (OSError, ValueError, SyntaxError):  # Pillow says so of what it does not know
        raise UnreadablePicture(f"{name} is no picture that can be read", "replace it, or take it out") from None


def _converted(picture: Any, name: str, channels: int) -> Any:
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
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
