"""Cells of a table as numbers and classes, or a message that says which of them is none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from ..whole import LEAST, MOST, told
from .cells import Cell, Cells, listed
from .faults import DataError, Faults, together

MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
_WITH_POINT = re.compile(r"([+-]?[0-9]+)\.0*")
_FILL = "fill it in, or take the row out"


def numbers(cells: Cells, name: str, words_help: str = "") -> NDArray[np.float64]:
    """A column of numbers [rows], or of lists of them, [rows, ...]. Raises DataError; `words_help` is what to write
    where they are words."""
    column = cells.column(name)
    if any(isinstance(cell, list) for cell in column):
        return _lists(cells, name, column)
    try:
        found = np.array(column if all(map(_is_number, column)) else list(map(_read, column)), np.float64)
    except (TypeError, ValueError):
        found = None
    except OverflowError:  # a whole number of JSON that is larger than all floats
        found = np.array(list(map(_read, column)), np.float64)
    if found is None or not _fits_float32(found).all():
        raise _unfit(cells, name, column, words_help)
    return found


def whole_numbers(cells: Cells, name: str) -> NDArray[np.int64]:
    """A column that `is_whole`. Raises DataError for a number that int64 does not hold."""
    found = list(map(_whole, cells.column(name)))
    for row, number in enumerate(found):
        if not LEAST <= number <= MOST:
            help = "write it with a decimal point for a float, or take the row out"
            raise DataError(f'{cells.place(row)}: "{name}" is {told(number)}', help)
    return np.array(found, np.int64)


def side_by_side(cells: Cells, names: Sequence[str]) -> NDArray[np.float64]:
    """Columns of numbers, [rows, columns]. Raises DataError, for lists of numbers too."""
    columns: list[NDArray[np.float64]] = []
    faults = Faults()
    for name in names:
        with faults.gathered():
            column = numbers(cells, name)
            if column.ndim > 1:
                message = f'{cells.place(0)}: "{name}" is a list of numbers, and columns side by side are a number each'
                raise DataError(message, f'take it alone: `features = "{name}"`')
            columns.append(column)
    faults.settle()
    return np.stack(columns, 1)


def class_numbers(cells: Cells, name: str, classes: int) -> NDArray[np.int64] | None:
    """Classes that are written as numbers from 0, or None where they are words. Raises DataError for one that is out
    of range, or missing."""
    there, faults = _there(cells, name)
    try:
        found = {row: _class(cell) for row, cell in there.items()}
    except (TypeError, ValueError):
        faults.settle()
        return None
    outside = next((row for row, number in found.items() if not 0 <= number < classes), None)
    if outside is not None:
        numbered = f"{classes} classes are numbered 0 to {classes - 1}"
        message = f'{cells.place(outside)}: "{name}" is {_shown(found[outside])}, and {numbered}'
        faults.add(DataError(message, "number them from 0, or write words"))
    faults.settle()
    return np.array(list(found.values()), np.int64)


def class_words(cells: Cells, name: str) -> list[str]:
    """Classes that are words. Raises DataError for one that is missing or no word."""
    there, faults = _there(cells, name)
    none = next((row for row, cell in there.items() if isinstance(cell, list | dict)), None)
    if none is not None:
        message = f'{cells.place(none)}: "{name}" is no class but {_shown(there[none])}'
        faults.add(DataError(message, "write a number or a word"))
    faults.settle()
    return [str(cell).strip() for cell in there.values()]


def numbered(cells: Cells, name: str, words: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """The numbers of words among `names`. Raises DataError for each word that is not there."""
    places = {word: number for number, word in enumerate(names)}
    faults = Faults()
    for word in dict.fromkeys(words):
        if word not in places:
            message = f'{cells.place(words.index(word))}: "{name}" is {word!r}, which no row of the training file has'
            faults.add(DataError(message, f"there are {listed(names)}"))
    faults.settle()
    return np.array([places[word] for word in words], np.int64)


def is_whole(column: Sequence[Cell]) -> bool:
    """Whether all of a column is written as whole numbers."""
    try:
        return all(not isinstance(cell, bool) and _whole(cell) is not None for cell in column)
    except (TypeError, ValueError):
        return False


def is_words(column: Sequence[Cell]) -> bool:
    """Whether a column has text that is no number."""
    return any(isinstance(cell, str) and not reads(cell) and not _is_missing(cell) for cell in column)


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, Real) and not isinstance(cell, bool)


def _read(cell: Cell) -> float:
    """The number in a cell; underscores, which Python takes, belong to none."""
    if _is_number(cell):
        try:
            return float(cell)
        except OverflowError:
            return math.inf if cell > 0 else -math.inf
    if not isinstance(cell, str) or "_" in cell:
        raise ValueError
    return float(cell)


def reads(cell: str) -> bool:
    """Whether a cell is written as a number."""
    try:
        _read(cell)
    except ValueError:
        return False
    return True


def _whole(cell: Cell) -> int:
    if isinstance(cell, str):
        if "_" in cell:
            raise ValueError
        return int(cell)
    if not _is_number(cell) or cell % 1 != 0:  # of infinity that is no number
        raise ValueError
    return int(cell)


def _class(cell: Cell) -> int:
    """The number of a class; a column that had gaps once is often written as `1.0`."""
    written = _WITH_POINT.fullmatch(cell.strip()) if isinstance(cell, str) else None
    return _whole(cell if written is None else written[1])


def _is_missing(cell: Cell) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and cell.strip().lower() in MISSING)


def _there(cells: Cells, name: str) -> tuple[dict[int, Cell], Faults]:
    """The rows of a column of classes that have one, with what is wrong where some have none. "none" and "?" may be
    what a class is called; nothing at all is none."""
    column, faults = cells.column(name), Faults()
    gone = [
        row
        for row, cell in enumerate(column)
        if cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
    ]
    if not gone:
        return dict(enumerate(column)), faults
    faults.add(_missing(cells, name, column, gone[0]))
    without = set(gone)
    return {row: cell for row, cell in enumerate(column) if row not in without}, faults


def _missing(cells: Cells, name: str, column: Sequence[Cell], row: int) -> DataError:
    count = sum(map(_is_missing, column))
    more = f" ({count:,} rows have none)" if count > 1 else ""
    written = "" if column[row] in (None, "") else f": it says {_shown(column[row])}"
    return DataError(f'{cells.place(row)} has no value for "{name}"{written}{more}', _FILL)


def _unfit(cells: Cells, name: str, column: Sequence[Cell], words_help: str) -> DataError:
    """What is wrong with a column that are not all numbers: the first cell of each kind."""
    found: dict[str, DataError] = {}
    read: dict[int, float] = {}
    for row, cell in enumerate(column):
        if _is_missing(cell):
            if "missing" not in found:
                found["missing"] = _missing(cells, name, column, row)
            continue
        try:
            read[row] = _read(cell)
        except (TypeError, ValueError):
            help = words_help if words_help and is_words([cell]) else "write numbers in this column"
            message = f'{cells.place(row)}: "{name}" is {_shown(cell)}, which is no number'
            found.setdefault("no number", DataError(message, help))
    fits = _fits_float32(np.array([*read.values()]))
    if not fits.all():
        row = [*read][int(fits.argmin())]
        found["too large"] = _too_large(cells, name, column[row], row)
    return together(found.values())


def _fits_float32(found: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of each row whether all of it does; what is no number does not."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(found.astype(np.float32))
    return np.all(finite.reshape(len(found), -1), axis=1) if len(found) else np.ones(0, bool)


def _too_large(cells: Cells, name: str, cell: Cell, row: int) -> DataError:
    return DataError(f'{cells.place(row)}: "{name}" is {_shown(cell)}, which float32 does not hold', _FILL)


def _lists(cells: Cells, name: str, column: Sequence[Cell]) -> NDArray[np.float64]:
    rows: list[NDArray[np.float64]] = []
    found: dict[str, DataError] = {}
    for row, cell in enumerate(column):
        if _is_missing(cell):
            if "missing" not in found:
                found["missing"] = _missing(cells, name, column, row)
            continue
        try:
            rows.append(np.array(cell, np.float64))
        except OverflowError:
            found.setdefault("too large", _too_large(cells, name, cell, row))
        except (TypeError, ValueError):
            message = f'{cells.place(row)}: "{name}" is {_shown(cell)}, which is no list of numbers'
            found.setdefault("no list", DataError(message, "write as many numbers in all of its lists"))
        else:
            here, first = list(rows[-1].shape), list(rows[0].shape)
            if here != first:
                message = f'{cells.place(row)}: "{name}" is {here}, and {first} in the first row'
                found.setdefault("another shape", DataError(message, "give all one shape"))
            elif not _fits_float32(rows[-1][None])[0]:
                found.setdefault("too large", _too_large(cells, name, cell, row))
    if found:
        raise together(found.values())
    return np.stack(rows)


def _shown(cell: Cell) -> str:
    text = repr(cell)
    return text if len(text) <= 40 else f"{text[:37]}..."
