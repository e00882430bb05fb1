"""What is done to pictures whether a model learns or is used: nothing is drawn, and numpy is enough.

A step is its name with its options, `["resize", {"size": [224, 224]}]`, as a released model carries it. Pictures are
float32 [..., height, width]; whole numbers are classes of pixels: they are never blurred into each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Step = tuple[str, Mapping[str, Any]]
Size = Sequence[int]

NOTHING = -100
"""The class of pixels that were not in the picture: no loss counts it."""

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

# What `random_resized_crop(224)` sees of a picture in evaluation is the middle of one of 256 pixels, as is usual.
AROUND = 8 / 7


SIZING = ("resize", "cover", "pad", "center_crop")
"""The steps that change a size."""
CUTTING = ("pad", "center_crop")
"""Those of them that scale nothing."""


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture before a model sees it: `size`, [height, width], is what it is scaled and cut to when
    it is read, `given` the one size that it has to have where the steps would cut something else out of a larger one
    than they did in training."""

    size: tuple[int, int] | None
    steps: tuple[Step, ...]
    given: tuple[int, int] | None = None


def preparation_of(data: Mapping[str, Any], read: tuple[int, int] | None = None) -> Preparation | None:
    """That of the pictures a model was trained on, from the section about the data; None where it is nothing. `read` is
    the size that all of them had as they were read."""
    size = data["options"].get("size") if data["source"] == "images" else None
    steps = steps_of(data.get("augmentations") or ())
    if not steps and size is None:
        return None
    if size is not None:
        return Preparation((size[0], size[1]), steps)
    sizing = next((name for name, _ in steps if name in SIZING), None)
    return Preparation(None, steps, read if sizing in CUTTING else None)


def steps_of(augmentations: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """What augmentations, as settings hold them, do to a picture where nothing is drawn.

    What cuts to a size at random takes the middle then.
    """
    return tuple(step for one in augmentations for step in _steps(one["word"], one.get("options") or {}))


def _steps(word: str, options: Mapping[str, Any]) -> tuple[Step, ...]:
    match word:
        case "resize" | "center_crop":
            return ((word, {"size": options["size"]}),)
        case "normalize":
            numbers = IMAGENET if options["mean"] == "imagenet" else options
            return ((word, {"mean": list(numbers["mean"]), "std": list(numbers["std"])}),)
        case "random_crop":
            padded = (("pad", {"pixels": options["pad"]}),) if options.get("pad") else ()
            return (*padded, ("center_crop", {"size": options["size"]}))
        case "random_resized_crop":
            around = [round(side * AROUND) for side in options["size"]]
            return (("cover", {"size": around}), ("center_crop", {"size": options["size"]}))
        case "two_views":
            return steps_of(options["flow"])
    return ()


def apply(step: Step, pictures: NDArray) -> NDArray:
    name, options = step
    return STEPS[name](pictures, **options)


def size_after(step: Step, height: int, width: int) -> tuple[int, int]:
    """The size of a picture of `height` x `width` after a step."""
    name, options = step
    match name:
        case "resize" | "center_crop":
            return tuple(options["size"])
        case "cover":
            return covering(options["size"], height, width)
        case "pad":
            return height + 2 * options["pixels"], width + 2 * options["pixels"]
    return height, width


def covering(size: Size, height: int, width: int) -> tuple[int, int]:
    """The least size of the shape of `height` x `width` that holds `size`."""
    tall, wide = size
    if tall * width >= wide * height:
        return tall, max(wide, round(width * tall / height))
    return max(tall, round(height * wide / width)), wide


def resize(pictures: NDArray, size: Size) -> NDArray:
    """Bilinear with antialiasing, as Pillow and PyTorch have it."""
    tall, wide = size
    height, width = pictures.shape[-2:]
    if pictures.dtype.kind != "f":
        rows, columns = (_nearest(*sides) for sides in ((height, tall), (width, wide)))
        return np.ascontiguousarray(pictures[..., rows, :][..., columns])
    return _scaled(_scaled(pictures, -2, tall), -1, wide)


def cover(pictures: NDArray, size: Size) -> NDArray:
    """Scaled, in its shape, until it just holds `size`."""
    return resize(pictures, covering(size, *pictures.shape[-2:]))


def center_crop(pictures: NDArray, size: Size) -> NDArray:
    tall, wide = size
    height, width = pictures.shape[-2:]
    top, left = (height - tall) // 2, (width - wide) // 2
    return np.ascontiguousarray(pictures[..., top : top + tall, left : left + wide])


def pad(pictures: NDArray, pixels: int) -> NDArray:
    """Black on all sides."""
    sides = [(0, 0)] * (pictures.ndim - 2) + [(pixels, pixels)] * 2
    return np.pad(pictures, sides, constant_values=NOTHING if pictures.dtype.kind == "i" else 0)


def normalize(pictures: NDArray, mean: Sequence[float], std: Sequence[float]) -> NDArray:
    """`(x - mean) / std` of each channel, pictures [..., channels, height, width]."""
    means, deviations = (np.array(numbers, np.float32)[:, None, None] for numbers in (mean, std))
    return (pictures - means) / deviations


STEPS: Mapping[str, Callable[..., NDArray]] = {
    "resize": resize,
    "cover": cover,
    "center_crop": center_crop,
    "pad": pad,
    "normalize": normalize,
}


def _scaled(pictures: NDArray, axis: int, new: int) -> NDArray:
    """One axis at another length: a new pixel is a mean of old ones, weighted by a triangle that is as wide as it, or
    as an old one where that is wider. Sums are taken in one order, whatever the machine: a product of matrices is not.
    """
    old = pictures.shape[axis]
    if old == new:
        return pictures
    scale = old / new
    reach = max(scale, 1.0)
    centers = (np.arange(new) + 0.5) * scale
    first = np.floor(centers - reach).astype(np.int64)
    places = first[:, None] + np.arange(math.ceil(2 * reach) + 1)
    triangle = np.maximum(0.0, 1.0 - np.abs(places + 0.5 - centers[:, None]) / reach) * ((places >= 0) & (places < old))
    weights = (triangle / triangle.sum(1, keepdims=True)).astype(np.float32)
    places = places.clip(0, old - 1)
    alone = (slice(None), None) if axis == -2 else slice(None)  # of a column or a row
    scaled = weights[:, 0][alone] * pictures.take(places[:, 0], axis)
    for tap in range(1, places.shape[1]):
        scaled += weights[:, tap][alone] * pictures.take(places[:, tap], axis)
    return scaled


def _nearest(old: int, new: int) -> NDArray[np.int64]:
    """Which of `old` pixels has the middle of each of `new`."""
    return (2 * np.arange(new) + 1) * old // (2 * new)
