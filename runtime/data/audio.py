"""Recordings in folders, a folder for each class: `audio(folder, seconds, rate, classes, validation, split)`."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import options
from .class_folders import Sort, find_class_folders, require_classes
from .dataset import Data, Field, Split
from .faults import DataError
from .files import Fingerprint, FoundFile, read_file
from .options import Options
from .resampling import resampled
from .rows import kept_back
from .wav import UnreadableRecording, decode_wav

CONVERT = "take it out, or make it one: ffmpeg -i 1.flac 1.wav"
HIGHEST_RATE = 768_000
"""Samples a second: the highest that converters of sound have. A filter for more would not fit into memory."""
RECORDINGS = Sort("recording", "recordings", (".wav",), "commands/yes/1.wav", CONVERT)
KEPT_BYTES = 1 << 30
"""So much of a set of recordings stays decoded in memory."""


@dataclass(frozen=True)
class Shape:
    """`samples` of them are an example, at `rate` a second."""

    rate: int
    samples: int

    def decoded(self, content: bytes, file: FoundFile) -> NDArray[np.float32]:
        """A recording as one channel, cut or filled up with silence. Raises DataError."""
        try:
            rate, channels = decode_wav(content)
        except UnreadableRecording as fault:
            raise DataError(f"{file.name} cannot be read: {fault}", "write it anew as .wav, or take it out") from None
        if not len(channels):
            raise DataError(f"{file.name} holds no sample", "take it out")
        if rate > HIGHEST_RATE:
            raise DataError(
                f"{file.name} says that it has {rate:,} samples a second: its header is damaged, or it is no sound",
                f"write it anew, with at most {HIGHEST_RATE:,}",
            )
        heard = resampled(channels.mean(1), rate, self.rate)[: self.samples]
        return np.pad(heard, (0, self.samples - len(heard)))


class Recordings(Split):
    """Some files, decoded when they are asked for; those that fit into memory are decoded once."""

    def __init__(
        self, files: list[FoundFile], labels: NDArray[np.int64], rows: NDArray[np.int64], shape: Shape
    ) -> None:
        self._files, self._labels, self._rows = files, torch.from_numpy(labels), torch.from_numpy(rows)
        self._shape = shape
        self._kept: dict[int, NDArray[np.float32]] = {}
        self._room = KEPT_BYTES // (4 * shape.samples)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        rows = self._rows[ids]
        heard = np.stack([self._heard(row) for row in rows.tolist()])
        return {"audio": torch.from_numpy(heard).unsqueeze(-1), "label": self._labels[rows]}

    def _heard(self, row: int) -> NDArray[np.float32]:
        if row in self._kept:
            return self._kept[row]
        heard = self._shape.decoded(read_file(self._files[row]), self._files[row])
        if len(self._kept) < self._room:
            self._kept[row] = heard
        return heard


@dataclass(frozen=True)
class Folder:
    """`files` by class and name, `labels` the numbers of their classes."""

    name: str
    classes: tuple[str, ...]
    files: list[FoundFile]
    labels: NDArray[np.int64]


def open_audio(settings: Options, base: Path) -> Data:
    """audio float[rate * seconds, 1] from -1 to 1, label the number of its folder.

    Every recording is decoded once before anything is trained, so that a damaged one is told of now.
    """
    rate = options.whole_number(settings, "rate", default=16_000)
    shape = Shape(rate, round(rate * float(settings["seconds"])))
    fingerprint: dict[str, Fingerprint] = {}
    folder = _read(options.path(settings, "folder"), base, shape, fingerprint)
    require_classes(settings, folder.name, folder.classes)
    validation: Split | None
    if settings.get("validation"):
        held = _read(settings["validation"], base, shape, fingerprint, like=folder)
        rows = np.arange(len(folder.files))
        validation = Recordings(held.files, held.labels, np.arange(len(held.files)), shape)
    else:
        rows, kept = kept_back(len(folder.files), options.split(settings), folder.name)
        validation = Recordings(folder.files, folder.labels, kept, shape) if len(kept) else None
    return Data(
        train=Recordings(folder.files, folder.labels, rows, shape),
        validation=validation,
        fields={
            "audio": Field("float", (shape.samples, 1)),
            "label": Field("int", (), len(folder.classes), folder.classes),
        },
        fingerprint=fingerprint,
    )


def _read(
    name: str, base: Path, shape: Shape, fingerprint: dict[str, Fingerprint], like: Folder | None = None
) -> Folder:
    """The recordings of a folder, each decoded once; notes the fingerprint of each class. Raises DataError."""
    name = name.rstrip("/")
    others = None if like is None else (like.name, like.classes)
    classes: list[str] = []
    files: list[FoundFile] = []
    labels: list[int] = []
    for one, found in find_class_folders(name, base, RECORDINGS, others):
        digest, total = sha256(), 0
        for file in found:
            content = read_file(file)
            shape.decoded(content, file)
            digest.update(f"{file.path.name}\0{sha256(content).hexdigest()}\n".encode())
            total += len(content)
        fingerprint[f"{name}/{one}"] = {"sha256": digest.hexdigest(), "size": total}
        files += found
        labels += [len(classes) if like is None else like.classes.index(one)] * len(found)
        classes.append(one)
    return Folder(name, tuple(classes), files, np.array(labels, np.int64))
