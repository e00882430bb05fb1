"""Rows of a .csv, .jsonl or .parquet file: `table(file, features, target, classes, validation, split)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import options
from .cells import Cells, listed, read_cells
from .columns import class_numbers, class_words, is_whole, is_words, numbered, numbers, side_by_side, whole_numbers
from .dataset import Data, Field
from .faults import DataError, Faults
from .files import Fingerprint, find_file, fingerprint_file
from .options import Options
from .rows import Rows, kept_back

Columns = dict[str, NDArray]


@dataclass(frozen=True)
class Wanted:
    """`features` are the columns that stand side by side, or the one that is a field as it is; `classes` is how many
    the target has, None where it is a number."""

    features: tuple[str, ...] | str | None
    target: str | None
    classes: int | None

    @property
    def columns(self) -> list[str]:
        features = [self.features] if isinstance(self.features, str) else self.features or ()
        return [*features, *([] if self.target is None else [self.target])]


def open_table(settings: Options, base: Path) -> Data:
    """features float[n] and target, float or a class; or every column as a field of its name. Without a validation file
    some rows, the same for every seed, are kept back for it. Raises DataError with the line of what is wrong."""
    wanted = _wanted(settings)
    fingerprint: dict[str, Fingerprint] = {}
    training = _open(options.path(settings, "file"), base, fingerprint)
    held = _open(settings["validation"], base, fingerprint) if settings.get("validation") else None
    both = [training] if held is None else [training, held]
    if wanted.features is None and wanted.target is None:
        tables, fields = _by_name(both)
    else:
        tables, fields = _as_asked(both, wanted)
    columns = _tensors(tables[0])
    if held is None:
        rows, kept = kept_back(len(training.lines), options.split(settings), training.name)
        validation = Rows.some(columns, kept)
    else:
        rows = np.arange(len(training.lines))
        validation = Rows(_tensors(tables[1]), np.arange(len(held.lines)))
    if wanted.target is not None:
        _require_every_class(fields["target"], tables[0]["target"][rows], wanted.target, training.name)
    return Data(train=Rows(columns, rows), validation=validation, fields=fields, fingerprint=fingerprint)


def _wanted(settings: Options) -> Wanted:
    features, target = settings.get("features"), settings.get("target")
    classes = options.whole_number(settings, "classes", least=2) if settings.get("classes") is not None else None
    return Wanted(tuple(features) if isinstance(features, list) else features, target, classes)


def _open(name: str, base: Path, fingerprint: dict[str, Fingerprint]) -> Cells:
    file = find_file(name, base)
    fingerprint[file.name] = fingerprint_file(file)
    return read_cells(file)


def _as_asked(both: Sequence[Cells], wanted: Wanted) -> tuple[list[Columns], dict[str, Field]]:
    """The fields `features` and `target` of each file."""
    tables: list[Columns] = [{} for _ in both]
    fields: dict[str, Field] = {}
    names: tuple[str, ...] | None = None
    faults = Faults()
    for table, cells in zip(tables, both, strict=True):
        if cells.unseparated:  # that is one fault, and not one for each column that is asked for
            cells.column(wanted.columns[0])
        if wanted.features is not None:
            with faults.gathered():
                table["features"] = _features(cells, wanted.features)
        if wanted.target is not None and wanted.classes is None:
            with faults.gathered():
                table["target"] = _answers(cells, wanted.target)
    if wanted.target is not None and wanted.classes is not None:
        with faults.gathered():
            found, names = _classes(both, wanted.target, wanted.classes)
            for table, column in zip(tables, found, strict=True):
                table["target"] = column
    faults.settle()
    if wanted.features is not None:
        fields["features"] = Field("float", _same_dims(both, tables, "features"))
    if wanted.target is not None:
        dims = _same_dims(both, tables, "target")
        fields["target"] = Field("float" if wanted.classes is None else "int", dims, wanted.classes, names)
    return tables, fields


def _features(cells: Cells, features: tuple[str, ...] | str) -> NDArray[np.float32]:
    found = numbers(cells, features) if isinstance(features, str) else side_by_side(cells, features)
    return found.astype(np.float32)


def _answers(cells: Cells, target: str) -> NDArray[np.float32]:
    words = len(set(map(str, cells.column(target))))
    help = f"write numbers; for words write `classes = {words}`, the number of different ones"
    return numbers(cells, target, help).astype(np.float32)


def _classes(both: Sequence[Cells], name: str, classes: int) -> tuple[list[NDArray[np.int64]], tuple[str, ...] | None]:
    """The classes of a column in each file, and what they are called where they are words."""
    found: list[NDArray[np.int64] | None] = []
    faults = Faults()
    for cells in both:
        with faults.gathered():
            found.append(class_numbers(cells, name, classes))
    faults.settle()
    if all(column is not None for column in found):
        return [column for column in found if column is not None], None
    columns, names = _words(both, name)
    if len(names) != classes:
        raise DataError(
            f'the column "{name}" of {both[0].name} has {len(names)} different words, and `classes` is {classes}',
            f"write `classes = {len(names)}`, or mend the words: {listed(names)}",
        )
    return columns, names


def _words(both: Sequence[Cells], name: str) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    """Words numbered in alphabetical order, and the words."""
    words: list[list[str]] = []
    faults = Faults()
    for cells in both:
        with faults.gathered():
            words.append(class_words(cells, name))
    faults.settle()
    names = tuple(sorted(set(words[0])))
    return [numbered(cells, name, column, names) for cells, column in zip(both, words, strict=True)], names


def _by_name(both: Sequence[Cells]) -> tuple[list[Columns], dict[str, Field]]:
    """Every column a field: whole numbers, numbers, or words as classes."""
    tables: list[Columns] = [{} for _ in both]
    fields: dict[str, Field] = {}
    faults = Faults()
    for name in both[0].columns:
        with faults.gathered():
            found, fields[name] = _column(both, name)
            for table, column in zip(tables, found, strict=True):
                table[name] = column
            _same_dims(both, tables, name)
    faults.settle()
    return tables, fields


def _column(both: Sequence[Cells], name: str) -> tuple[Sequence[NDArray], Field]:
    """A column of each file, and the field that it is."""
    columns = [cells.column(name) for cells in both]
    if any(map(is_words, columns)):
        found, names = _words(both, name)
        return found, Field("int", (), len(names), names)
    faults = Faults()
    made: list[NDArray] = []
    whole = all(map(is_whole, columns))
    for cells in both:
        with faults.gathered():
            made.append(whole_numbers(cells, name) if whole else numbers(cells, name).astype(np.float32))
    faults.settle()
    if not whole:
        return made, Field("float", made[0].shape[1:])
    top, least = max(int(column.max()) for column in made), min(int(column.min()) for column in made)
    return made, Field("int", (), top + 1 if least >= 0 else None)


def _same_dims(both: Sequence[Cells], tables: Sequence[Mapping[str, NDArray]], name: str) -> tuple[int, ...]:
    dims = [table[name].shape[1:] for table in tables]
    if len(set(dims)) > 1:
        shown = f"{list(dims[0])} in {both[0].name}, and {list(dims[1])} in {both[1].name}"
        raise DataError(f"`{name}` is {shown}", "both files have rows of one shape")
    return dims[0]


def _require_every_class(field: Field, training: NDArray, name: str, file: str) -> None:
    """Nothing is learned of a class that is not there."""
    if field.classes is None:
        return
    there = np.bincount(training, minlength=field.classes)
    if there.all():
        return
    missing, some = int(there.argmin()), int((there > 0).sum())
    what = f"{missing}" if field.names is None else f"{field.names[missing]!r}"
    raise DataError(
        f'no row of the training part of {file} has the class {what} of "{name}": nothing can be learned of it',
        "give it rows, or a larger part in `split`" + (f"; without it write `classes = {some}`" if some > 1 else ""),
    )


def _tensors(columns: Columns) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(column)) for name, column in columns.items()}
