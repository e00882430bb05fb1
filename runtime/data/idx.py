"""IDX files, the format of MNIST: pictures of bytes, and a class for each (LeCun, Cortes and Burges 1998)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import options
from .dataset import Data, Field, Split
from .draws import parts_of, permutation
from .faults import DataError
from .files import Fingerprint, FoundFile, find_file, read_chunks, unreadable
from .options import Options
from .rows import none_for_training

BYTES = 0x08
KINDS = {0x09: "signed bytes", 0x0B: "16-bit numbers", 0x0C: "32-bit numbers", 0x0D: "floats", 0x0E: "doubles"}
_CHUNK = 1 << 22


class IdxRows(Split):
    """Some rows of pictures uint8 [count, height, width], made floats a batch at a time."""

    def __init__(self, pictures: Tensor, labels: Tensor | None, rows: NDArray[np.int64]) -> None:
        self._pictures, self._labels, self._rows = pictures, labels, torch.from_numpy(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        rows = self._rows[ids]
        image = {"image": self._pictures[rows].unsqueeze(1) / 255}
        return image if self._labels is None else image | {"label": self._labels[rows]}


def open_idx(settings: Options, base: Path) -> Data:
    """image float[1, height, width] from 0 to 1, and label where there are labels. Without a validation part of its
    own some rows, the same for every seed, are kept back for it."""
    fingerprint: dict[str, Fingerprint] = {}
    labelled = bool(settings.get("labels"))
    names = [options.path(settings, "images"), *([settings["labels"]] if labelled else [])]
    pictures, labels = _read_part(names, base, fingerprint)
    size = tuple(pictures.shape[1:])
    _require_size(settings, names[0], size)
    parts = [labels]
    if settings.get("validation"):
        others = list(settings["validation"])
        if len(others) != len(names):
            raise DataError(f"`validation` names {len(others)} files, and the training part has {len(names)}")
        held, held_labels = _read_part(others, base, fingerprint)
        if tuple(held.shape[1:]) != size:
            raise DataError(
                f"the pictures are {_shown(size)} in {names[0]}, and {_shown(held.shape[1:])} in {others[0]}"
            )
        parts.append(held_labels)
        train = IdxRows(pictures, labels, np.arange(len(pictures)))
        validation: Split | None = IdxRows(held, held_labels, np.arange(len(held)))
    else:
        others = []
        order = permutation(0, len(pictures))
        train_end, validation_end = parts_of(len(order), options.split(settings))
        if not train_end:
            raise none_for_training(names[0], len(order), "picture")
        train = IdxRows(pictures, labels, order[:train_end])
        kept = order[train_end:validation_end]
        validation = IdxRows(pictures, labels, kept) if len(kept) else None
    fields = {"image": Field("float", (1, *size))}
    if labelled:
        files = [names[1], *others[1:]]
        classes = _classes(settings, [part for part in parts if part is not None], files)
        fields["label"] = Field("int", (), classes, tuple(map(str, range(classes))))
    return Data(train=train, validation=validation, fields=fields, fingerprint=fingerprint)


def _read_part(names: list[str], base: Path, fingerprint: dict[str, Fingerprint]) -> tuple[Tensor, Tensor | None]:
    """The pictures, and their labels where they are named too; notes the fingerprints."""
    pictures = read_idx(find_file(names[0], base), 3, fingerprint)
    if not len(pictures):
        raise DataError(f"{names[0]} holds no picture")
    if len(names) == 1:
        return torch.from_numpy(pictures), None
    labels = read_idx(find_file(names[1], base), 1, fingerprint)
    if len(labels) != len(pictures):
        raise DataError(
            f"{names[0]} holds {len(pictures):,} pictures, and {names[1]} {len(labels):,} labels",
            "give the labels of these pictures, one for each",
        )
    return torch.from_numpy(pictures), torch.from_numpy(labels.astype(np.int64))


def read_idx(file: FoundFile, axes: int, fingerprint: dict[str, Fingerprint]) -> NDArray[np.uint8]:
    """The bytes of a file, plain or gzipped, that has so many axes; notes its fingerprint. Raises DataError."""
    digest, size, packed = sha256(), 0, False
    for chunk in read_chunks(file):
        packed = packed or (size == 0 and chunk[:2] == b"\x1f\x8b")
        digest.update(chunk)
        size += len(chunk)
    fingerprint[file.name] = {"sha256": digest.hexdigest(), "size": size}
    head = 4 + 4 * axes
    content = bytearray()
    dims: tuple[int, ...] | None = None
    for chunk in _unpacked(file) if packed else read_chunks(file):
        content += chunk
        if dims is None and len(content) >= head:
            _require_kind(file, content, axes)
            dims = tuple(int(n) for n in np.frombuffer(bytes(content[4:head]), ">u4"))
        if dims is not None and len(content) > head + prod(dims):
            break  # a file that is longer than it says is not read to its end
    if dims is None:
        _require_kind(file, content, axes)
        raise DataError(f"{file.name} is cut off: it ends within its head", "fetch it again")
    return _body(file, content, dims)


def _body(file: FoundFile, content: bytearray, dims: tuple[int, ...]) -> NDArray[np.uint8]:
    head = 4 + 4 * len(dims)
    wanted, there = prod(dims), len(content) - head
    if there < wanted:
        raise DataError(
            f"{file.name} is cut off: it says {_shown(dims)}, {wanted:,} bytes, and {there:,} are there",
            "fetch it again",
        )
    if there > wanted:
        raise DataError(f"{file.name} goes on after the {wanted:,} bytes that it says", "fetch it again")
    return np.frombuffer(content, np.uint8, offset=head).reshape(dims)


def _require_kind(file: FoundFile, head: bytearray, axes: int) -> None:
    """Raises DataError for what does not begin as a file of bytes with so many axes."""
    what = {3: "pictures", 1: "labels"}
    if len(head) < 4 or head[:2] != b"\0\0" or (head[2] != BYTES and head[2] not in KINDS) or not head[3]:
        start = " ".join(f"{byte:02x}" for byte in head[:4])
        raise DataError(
            f"{file.name} is no IDX file: {f'it begins with {start}' if start else 'it is empty'}",
            f"IDX files of {what[axes]} begin with 00 00 08 {axes:02x}",
        )
    if head[3] != axes:
        holds = f"holds {what[head[3]]}" if head[3] in what else f"has {head[3]} axes"
        raise DataError(
            f"{file.name} {holds}, where {what[axes]} are asked for",
            "pictures come first: idx(images, labels)" if head[3] in what else f"{what[axes]} have {axes}",
        )
    if head[2] != BYTES:
        raise DataError(f"{file.name} holds {KINDS[head[2]]}, and {what[axes]} are bytes", "store them as bytes")


def _unpacked(file: FoundFile) -> Iterator[bytes]:
    try:
        with gzip.open(file.path) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{file.name} is damaged or cut off: {error}", "fetch it again") from None
    except OSError as error:
        raise unreadable(file, error) from None


def _require_size(settings: Options, name: str, size: tuple[int, ...]) -> None:
    wanted = settings.get("size")
    if wanted is not None and tuple(wanted) != size:
        raise DataError(
            f"`size` is {_shown(wanted)}, and the pictures of {name} are {_shown(size)}",
            f"write size = [{size[0]}, {size[1]}], or leave it out; `-> resize(..)` scales them",
        )


def _classes(settings: Options, parts: list[Tensor], files: list[str]) -> int:
    """How many there are: as many as the spec says, or one more than the largest label."""
    said = settings.get("classes")
    if said is None:
        return 1 + max(int(labels.max()) for labels in parts)
    for labels, name in zip(parts, files, strict=False):
        wrong = (labels >= said).nonzero()
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"{name} has the label {int(labels[row])} in row {row:,}, and {said} classes are 0 to {said - 1}",
                f"write classes = {1 + int(labels.max())}, or leave it out",
            )
    return said


def _shown(size: tuple[int, ...] | list[int] | torch.Size) -> str:
    return " x ".join(f"{side:,}" for side in size)
