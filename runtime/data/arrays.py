"""Arrays of a .npz file as fields: the first axis counts the examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..array_file import UnreadableArray, open_array_file, read_array
from ..whole import first_beyond, told
from . import options
from .dataset import IGNORED, Data, Field, Split
from .faults import DataError
from .files import Fingerprint, FoundFile, find_file, fingerprint_file
from .options import Options
from .rows import Rows, kept_back

Arrays = dict[str, NDArray]


def open_arrays(settings: Options, base: Path) -> Data:
    """Numbers become float32, int64 or bool. Without a validation file some rows, the same for every seed, are kept
    back for it: files are often sorted."""
    file = find_file(options.path(settings, "file"), base)
    fingerprint: dict[str, Fingerprint] = {file.name: fingerprint_file(file)}
    training = load(file)
    count = rows_of(training)
    train: Split
    validation: Split | None
    if settings.get("validation"):
        other = find_file(options.path(settings, "validation"), base)
        fingerprint[other.name] = fingerprint_file(other)
        held = load(other)
        _require_same_fields(file, training, other, held)
        train = Rows(_columns(training), np.arange(count))
        validation = Rows(_columns(held), np.arange(rows_of(held)))
    else:
        held = None
        columns = _columns(training)
        rows, kept = kept_back(count, options.split(settings), file.name)
        train, validation = Rows(columns, rows), Rows.some(columns, kept)
    fields = {name: _field(array, None if held is None else held[name]) for name, array in training.items()}
    return Data(train=train, validation=validation, fields=fields, fingerprint=fingerprint)


def load(file: FoundFile) -> Arrays:
    """The arrays of a file, each float32, int64 or bool, finite and of the same length. Raises DataError."""
    try:
        stored = open_array_file(file.path)
    except UnreadableArray:
        raise DataError(
            f"{file.name} is no .npz file", "write one with numpy.savez(path, image=..., label=...)"
        ) from None
    if isinstance(stored, np.ndarray):
        raise DataError(
            f"{file.name} holds one array without a name", "write a .npz with numpy.savez(path, image=..., label=...)"
        )
    with stored:
        arrays = {name: _read(file, stored, name) for name in stored.files}
    if not arrays:
        raise DataError(f"{file.name} holds no array")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError(
            f"the arrays of {file.name} differ in length: {listed}", "the first axis counts the examples, for all alike"
        )
    if not rows_of(arrays):
        raise DataError(f"the arrays of {file.name} hold no example")
    return arrays


def rows_of(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _read(file: FoundFile, stored: np.lib.npyio.NpzFile, name: str) -> NDArray:
    try:
        array = read_array(stored, name)
    except UnreadableArray as fault:
        if not fault.objects:
            raise DataError(f"the array {name} of {file.name} is damaged: {fault}") from None
        raise DataError(
            f"the array {name} of {file.name} holds Python objects, which are not loaded: they could run code",
            "store numbers: array.astype(numpy.float32), or numpy.stack(list) where the rows have one shape",
        ) from None
    if array.ndim == 0:
        raise DataError(f"the array {name} of {file.name} is a single number, without an axis of examples")
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
        finite = np.isfinite(array)
        if not finite.all():
            row = int(np.argwhere(~finite)[0][0])
            raise DataError(
                f"the array {name} of {file.name} holds numbers that are not finite as float32: "
                f"{np.count_nonzero(~finite):,} of them, the first in example {row:,}",
                "fill them in, or take out the examples that hold any",
            )
        return array
    if array.dtype.kind in "iu":
        beyond = first_beyond(array)
        if beyond is not None:
            row, number = beyond
            raise DataError(
                f"the array {name} of {file.name} holds, in example {row:,}, {told(number)}",
                "number classes from 0; -100, which does not count, is stored as int64",
            )
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "b":
        return array
    raise DataError(
        f"the array {name} of {file.name} has the type {array.dtype}; a field is made of floats, ints or bools",
        "for classes by name, store their numbers: numpy.unique(names, return_inverse=True)[1]"
        if array.dtype.kind in "US"
        else "",
    )


def _require_same_fields(file: FoundFile, training: Arrays, other: FoundFile, held: Arrays) -> None:
    if training.keys() != held.keys():
        raise DataError(
            f"{file.name} and {other.name} hold different arrays: "
            f"{', '.join(sorted(training))} and {', '.join(sorted(held))}"
        )
    for name, array in training.items():
        if array.shape[1:] != held[name].shape[1:] or array.dtype != held[name].dtype:
            raise DataError(
                f"the array {name} is {array.dtype} {list(array.shape[1:])} an example in {file.name}, "
                f"and {held[name].dtype} {list(held[name].shape[1:])} in {other.name}"
            )


def _columns(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _field(array: NDArray, held: NDArray | None) -> Field:
    dims = array.shape[1:]
    if array.dtype == np.float32:
        return Field("float", dims)
    if array.dtype == bool:
        return Field("bool", dims)
    both = [array] if held is None else [array, held]
    counted = [part[part != IGNORED] for part in both]
    if min(int(part.min(initial=0)) for part in counted) < 0:
        return Field("int", dims)
    largest = max(int(part.max(initial=-1)) for part in counted)
    others = max(int(part.max(initial=-1, where=part != largest)) for part in counted)
    return Field("int", dims, 1 + largest or None, but_last=1 + others)
