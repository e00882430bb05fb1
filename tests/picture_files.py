"""Small pictures and IDX files for tests: nothing but numbers that are made here."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixels(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save_picture(path: Path, array: NDArray[np.uint8], **options: Any) -> None:
    """[height, width] is gray, [height, width, 3] red, green and blue, [height, width, 4] with what is transparent."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def flowers(
    base: Path,
    classes: Sequence[str] = ("lily", "rose"),
    each: int = 8,
    size: tuple[int, int] = (12, 12),
    name: str = "flowers",
) -> None:
    """Folders of pictures whose classes can be told apart: each is bright in a channel of its own."""
    for number, one in enumerate(classes):
        for index in range(each):
            picture = pixels(100 * number + index, *size, 3) // 4
            picture[..., number % 3] += 150
            save_picture(base / name / one / f"{index:02}.png", picture)


def write_idx(path: Path, array: NDArray, kind: int = 0x08) -> None:
    """An IDX file, gzipped where its name ends in .gz."""
    head = bytes([0, 0, kind, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(base: Path, count: int = 60, size: int = 28, classes: int = 10, prefix: str = "train") -> None:
    """Pictures whose class is a bright row, and their labels, under the names that MNIST has."""
    labels = (np.arange(count) % classes).astype(np.uint8)
    pictures = pixels(count, count, size, size) // 4
    for row, label in enumerate(labels):
        pictures[row, 2 * label : 2 * label + 2] += 180
    write_idx(base / f"{prefix}-images-idx3-ubyte.gz", pictures)
    write_idx(base / f"{prefix}-labels-idx1-ubyte.gz", labels)
