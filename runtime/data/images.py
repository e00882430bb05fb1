"""Pictures in folders, a folder for each class: decoded when they are asked for."""

from __future__ import annotations

import difflib
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
from .augmentation import Batch, Ragged, stacked
from .dataset import Data, DataError, Field, Fingerprint, Split
from .draws import parts_of, permutation
from .files import FoundFile, missing_help, read_file, unreadable
from .options import Options

KEPT_BYTES = 1 << 30
"""So much of a set of pictures stays decoded in memory."""

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
    """Pictures of a folder as uint8 [channels, height, width]; those that fit into memory are decoded once."""

    def __init__(self, folder: Folder, channels: int, size: Sequence[int] | None, room: int = KEPT_BYTES) -> None:
        self._folder, self._channels, self._size = folder, channels, size
        self._room = room
        self._kept: dict[int, Tensor] = {}

    def pictures(self, rows: list[int]) -> list[Tensor]:
        missing = [row for row in dict.fromkeys(rows) if row not in self._kept]
        found = {row: self._kept[row] for row in rows if row in self._kept}
        for row, picture in zip(missing, in_threads(self._decoded, missing), strict=True):
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
        image = pixels / 255 if isinstance(pixels, Tensor) else [one / 255 for one in pixels]
        return {"image": image, "label": self._labels[rows]}


def open_images(settings: Options, base: Path) -> Data:
    """image float[channels, height, width] from 0 to 1, label the number of its folder.

    Every picture is read and decoded once before anything is trained, so that a damaged one is told of now.
    """
    require_reading()
    channels = CHANNELS[options.word(settings, "colour", tuple(CHANNELS), "rgb")]
    size = settings.get("size")
    fingerprint: dict[str, Fingerprint] = {}
    folder = read_folder(options.path(settings, "folder"), base, None, channels, size, fingerprint)
    _require_classes(settings, folder)
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
            raise DataError(f"{folder.name} has {count} pictures: none is left for training", "write a larger split")
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
    path, name = base / name, name.rstrip("/")
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else ""
        raise DataError(
            f"{name} {what}" if what else f"there is no folder {name}", "" if what else missing_help(name, base)
        )
    classes = _class_folders(path, name)
    if like is not None:
        for one in classes:
            if one not in like.classes:
                near = difflib.get_close_matches(one, like.classes, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(like.classes)}"
                raise DataError(f"{name} has a folder {one}, and {like.name} has no class of that name", hint)
    files: list[FoundFile] = []
    labels: list[int] = []
    sizes: list[tuple[int, int]] = []
    for number, one in enumerate(classes):
        found = _picture_files(path / one, f"{name}/{one}")
        digest, total = sha256(), 0
        for file, (hashed, length, shape) in zip(found, _looked_at(found, channels, size), strict=True):
            digest.update(f"{file.path.name}\0{hashed}\n".encode())
            total += length
            sizes.append(shape)
        fingerprint[f"{name}/{one}"] = {"sha256": digest.hexdigest(), "size": total}
        files += found
        labels += [number if like is None else like.classes.index(one)] * len(found)
    return Folder(name, tuple(classes), tuple(files), np.array(labels, np.int64), np.array(sizes, np.int64))


def _class_folders(path: Path, name: str) -> list[str]:
    entries = _entries(path, name)
    for entry in entries:
        if not entry.is_dir():
            raise DataError(
                f"{name}/{entry.name} lies beside the folders of classes, in none of them",
                "put it into the folder of its class, or take it out",
            )
    if not entries:
        raise DataError(f"{name} has no folders", "give each class a folder of its own: flowers/rose/1.jpg")
    return [entry.name for entry in entries]


def _picture_files(path: Path, name: str) -> list[FoundFile]:
    entries = _entries(path, name)
    for entry in entries:
        if entry.is_dir():
            raise DataError(
                f"{name}/{entry.name} is a folder inside a class", "put its pictures into the class, or take it out"
            )
        if not entry.name.lower().endswith(SUFFIXES):
            raise DataError(f"{name}/{entry.name} is no picture: those end in {', '.join(SUFFIXES)}", "take it out")
    if not entries:
        raise DataError(f"the class {path.name} has no pictures: {name} is empty", "put some in, or take it out")
    return [FoundFile(f"{name}/{entry.name}", Path(entry.path)) for entry in entries]


def _entries(path: Path, name: str) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, but for what systems hide there."""
    try:
        return sorted((one for one in os.scandir(path) if not one.name.startswith(".")), key=lambda one: one.name)
    except OSError as error:
        raise unreadable(FoundFile(name, path), error) from None


def _looked_at(
    files: Sequence[FoundFile], channels: int, size: Sequence[int] | None
) -> Iterator[tuple[str, int, tuple[int, int]]]:
    """The hash of each file, its length, and the size of its picture."""

    def look(file: FoundFile) -> tuple[str, int, tuple[int, int]]:
        content = read_file(file)
        _, height, width = _decode(content, file, channels, size).shape
        return sha256(content).hexdigest(), len(content), (height, width)

    for start in range(0, len(files), _AT_ONCE):
        yield from in_threads(look, files[start : start + _AT_ONCE])


def _decode(content: bytes, file: FoundFile, channels: int, size: Sequence[int] | None) -> NDArray[np.uint8]:
    try:
        return decode_picture(content, file.name, channels, size)
    except UnreadablePicture as fault:
        raise DataError(fault.message, fault.help) from None


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results in the order of the items; Pillow decodes without holding Python up."""
    workers = min(len(items), os.cpu_count() or 1)
    if workers < 2:
        return list(map(work, items))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


def require_reading() -> None:
    try:
        require_pillow()
    except UnreadablePicture as fault:
        raise DataError(fault.message, fault.help) from None


def _require_classes(settings: Options, folder: Folder) -> None:
    said, there = settings.get("classes"), len(folder.classes)
    if said is not None and said != there:
        raise DataError(
            f"`classes` is {said}, and {folder.name} has {there} folders: {_listed(folder.classes)}",
            f"write classes = {there}, or leave it out",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
