"""Pictures in folders, a folder for each class: decoded when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..picture_file import SUFFIXES, UnreadablePicture, decode_picture, require_pillow
from . import options
from .augmentation import Batch, Ragged, stacked, unit
from .class_folders import Sort, find_class_folders, require_classes
from .dataset import Data, Field, Split
from .draws import parts_of, permutation
from .faults import DataError
from .files import Fingerprint, FoundFile, read_file
from .options import Options
from .rows import none_for_training

KEPT_BYTES = 1 << 30
"""So much of a set of pictures stays decoded in memory."""

PICTURES = Sort("picture", "pictures", SUFFIXES, "flowers/rose/1.jpg")
CHANNELS = {"rgb": 3, "gray": 1}
_AT_ONCE = 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Folder:
    """`files` by class and name, `labels` their classes, `sizes` their [height, width] as they are given out."""

    name: str
    classes: tuple[str, ...]
    files: tuple[FoundFile, ...]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]


class Decoder:
    """Pictures of a folder as uint8 [channels, height, width]; those that fit into `room`, in bytes, are decoded once.

    Batches may be asked for in two threads at a time: at worst a picture is decoded by both.
    """

    def __init__(self, folder: Folder, channels: int, size: Sequence[int] | None, room: int = KEPT_BYTES) -> None:
        self._folder, self._channels, self._size = folder, channels, size
        self._room = room
        self._kept: dict[int, Tensor] = {}

    def pictures(self, rows: list[int]) -> list[Tensor]:
        missing = [row for row in dict.fromkeys(rows) if row not in self._kept]
        found = {row: self._kept[row] for row in rows if row in self._kept}
        for row, picture in zip(missing, _in_threads(self._decoded, missing), strict=True):
            found[row] = picture
            if picture.numel() <= self._room:
                self._room -= picture.numel()
                self._kept[row] = picture
        return [found[row] for row in rows]

    def _decoded(self, row: int) -> Tensor:
        file = self._folder.files[row]
        return torch.from_numpy(_decode(read_file(file), file, self._channels, self._size))


class FolderRows(Split):
    """Some pictures of a folder. Where they are of several sizes `image` is a list, for an augmentation to level."""

    def __init__(self, decoder: Decoder, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._decoder, self._labels, self._rows = decoder, torch.from_numpy(labels), torch.from_numpy(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, ids: Tensor) -> Batch:  # pyright: ignore[reportIncompatibleMethodOverride]
        rows = self._rows[ids]
        pixels = stacked(self._decoder.pictures(rows.tolist()))
        image = unit(pixels) if isinstance(pixels, Tensor) else pixels  # large ones take four times as much as floats
        return {"image": image, "label": self._labels[rows]}


def open_images(settings: Options, base: Path) -> Data:
    """image float[channels, height, width] from 0 to 1, label the number of its folder.

    Every picture is read and decoded once before anything is trained, so that a damaged one is told of now.
    """
    _require_reading()
    channels = CHANNELS[options.word(settings, "colour", tuple(CHANNELS), "rgb")]
    size = settings.get("size")
    fingerprint: dict[str, Fingerprint] = {}
    folder = read_folder(options.path(settings, "folder"), base, None, channels, size, fingerprint)
    require_classes(settings, folder.name, folder.classes)
    decoder = Decoder(folder, channels, size)
    sizes = folder.sizes
    count = len(folder.files)
    validation: Split | None
    if settings.get("validation"):
        held = read_folder(settings["validation"], base, folder, channels, size, fingerprint)
        sizes = np.concatenate([sizes, held.sizes])
        train = FolderRows(decoder, folder.labels, np.arange(count))
        validation = FolderRows(Decoder(held, channels, size), held.labels, np.arange(len(held.files)))
    else:
        order = permutation(0, count)
        train_end, validation_end = parts_of(count, options.split(settings))
        if not train_end:
            raise none_for_training(folder.name, count, "picture")
        train = FolderRows(decoder, folder.labels, order[:train_end])
        kept = order[train_end:validation_end]
        validation = FolderRows(decoder, folder.labels, kept) if len(kept) else None
    kind = Field if (sizes == sizes[0]).all() else Ragged
    height, width = (int(side) for side in sizes.min(0))
    fields = {
        "image": kind("float", (channels, height, width)),
        "label": Field("int", (), len(folder.classes), folder.classes),
    }
    return Data(train=train, validation=validation, fields=fields, fingerprint=fingerprint)


def read_folder(
    name: str,
    base: Path,
    like: Folder | None,
    channels: int,
    size: Sequence[int] | None,
    fingerprint: dict[str, Fingerprint],
) -> Folder:
    """The pictures of a folder, each decoded once; notes the fingerprint of each class.

    With `like`, its classes are the numbers of those, of which some may be missing. Raises DataError.
    """
    name = name.rstrip("/")
    classes: list[str] = []
    files: list[FoundFile] = []
    labels: list[int] = []
    sizes: list[tuple[int, int]] = []
    others = None if like is None else (like.name, like.classes)
    for one, found in find_class_folders(name, base, PICTURES, others):
        digest, total = sha256(), 0
        for file, (hashed, length, shape) in zip(found, _looked_at(found, channels, size), strict=True):
            digest.update(f"{file.path.name}\0{hashed}\n".encode())
            total += length
            sizes.append(shape)
        fingerprint[f"{name}/{one}"] = {"sha256": digest.hexdigest(), "size": total}
        files += found
        labels += [len(classes) if like is None else like.classes.index(one)] * len(found)
        classes.append(one)
    return Folder(name, tuple(classes), tuple(files), np.array(labels, np.int64), np.array(sizes, np.int64))


def _looked_at(
    files: Sequence[FoundFile], channels: int, size: Sequence[int] | None
) -> Iterator[tuple[str, int, tuple[int, int]]]:
    """The hash of each file, its length, and the size of its picture."""

    def look(file: FoundFile) -> tuple[str, int, tuple[int, int]]:
        content = read_file(file)
        _, height, width = _decode(content, file, channels, size).shape
        return sha256(content).hexdigest(), len(content), (height, width)

    for start in range(0, len(files), _AT_ONCE):
        yield from _in_threads(look, files[start : start + _AT_ONCE])


def _decode(content: bytes, file: FoundFile, channels: int, size: Sequence[int] | None) -> NDArray[np.uint8]:
    try:
        return decode_picture(content, file.name, channels, size)
    except UnreadablePicture as fault:
        raise DataError(fault.message, fault.help) from None


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results in the order of the items; Pillow decodes without holding Python up."""
    workers = min(len(items), os.cpu_count() or 1)
    if workers < 2:
        return list(map(work, items))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def _require_reading() -> None:
    try:
        require_pillow()
    except UnreadablePicture as fault:
        raise DataError(fault.message, fault.help) from None
