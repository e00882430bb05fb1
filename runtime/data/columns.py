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
from .faults import DataError

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
        raise _no_number(cells, name, column, words_help) from None
    except OverflowError:  # a whole number of JSON that is larger than all floats
        found = np.array(list(map(_read, column)), np.float64)
    _require_finite(cells, name, found)
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
    columns = [numbers(cells, name) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.ndim > 1:
            message = f'{cells.place(0)}: "{name}" is a list of numbers, and columns side by side are a number each'
            raise DataError(message, f'take it alone: `features = "{name}"`')
    return np.stack(columns, 1)


def class_numbers(cells: Cells, name: str, classes: int) -> NDArray[np.int64] | None:
    """Classes that are written as numbers from 0, or None where they are words. Raises DataError for one that is out
    of range, or missing."""
    column = _all_there(cells, name)
    try:
        found = [_class(cell) for cell in column]
    except (TypeError, ValueError):
        return None
    for row, number in enumerate(found):
        if not 0 <= number < classes:
            numbered = f"{classes} classes are numbered 0 to {classes - 1}"
            message = f'{cells.place(row)}: "{name}" is {_shown(number)}, and {numbered}'
            raise DataError(message, "number them from 0, or write words")
    return np.array(found, np.int64)


def class_words(cells: Cells, name: str) -> list[str]:
    """Classes that are words. Raises DataError for one that is missing or no word."""
    column = _all_there(cells, name)
    for row, cell in enumerate(column):
        if isinstance(cell, list | dict):
            raise DataError(f'{cells.place(row)}: "{name}" is no class but {_shown(cell)}', "write a number or a word")
    return [str(cell).strip() for cell in column]


def numbered(cells: Cells, name: str, words: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """The numbers of words among `names`. Raises DataError for a word that is not there."""
    places = {word: number for number, word in enumerate(names)}
    for row, word in enumerate(words):
        if word not in places:
            raise DataError(
                f'{cells.place(row)}: "{name}" is {word!r}, which no row of the training file has',
                f"there are {listed(names)}",
            )
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


def _all_there(cells: Cells, name: str) -> Sequence[Cell]:
    """A column of classes. "none" and "?" may be what a class is called; nothing at all is none."""
    column = cells.column(name)
    for row, cell in enumerate(column):
        if cell is None or cell != cell or (isinstance(cell, str) and not cell.strip()):
            raise _missing(cells, name, column, row)
    return column


def _missing(cells: Cells, name: str, column: Sequence[Cell], row: int) -> DataError:
    count = sum(map(_is_missing, column))
    more = f" ({count:,} rows have none)" if count > 1 else ""
    written = "" if column[row] in (None, "") else f": it says {_shown(column[row])}"
    return DataError(f'{cells.place(row)} has no value for "{name}"{written}{more}', _FILL)


def _no_number(cells: Cells, name: str, column: Sequence[Cell], words_help: str) -> DataError:
    """The first cell that is none."""
    for row, cell in enumerate(column):
        if _is_missing(cell):
            return _missing(cells, name, column, row)
        try:
            _read(cell)
        except (TypeError, ValueError):
            help = words_help if words_help and is_words([cell]) else "write numbers in this column"
            return DataError(f'{cells.place(row)}: "{name}" is {_shown(cell)}, which is no number', help)
    raise AssertionError("all of them are numbers")


def _require_finite(cells: Cells, name: str, found: NDArray[np.float64]) -> None:
    with np.errstate(over="ignore"):
        finite = np.isfinite(found.astype(np.float32)).reshape(len(found), -1).all(1)
    if finite.all():
        return
    row = int(finite.argmin())
    column = cells.column(name)
    if _is_missing(column[row]):
        raise _missing(cells, name, column, row)
    raise _too_large(cells, name, column[row], row)


def _too_large(cells: Cells, name: str, cell: Cell, row: int) -> DataError:
    return DataError(f'{cells.place(row)}: "{name}" is {_shown(cell)}, which float32 does not hold', _FILL)


def _lists(cells: Cells, name: str, column: Sequence[Cell]) -> NDArray[np.float64]:
    rows: list[NDArray[np.float64]] = []
    for row, cell in enumerate(column):
        if _is_missing(cell):
            raise _missing(cells, name, column, row)
        try:
            rows.append(np.array(cell, np.float64))
        except OverflowError:
            raise _too_large(cells, name, cell, row) from None
        except (TypeError, ValueError):
            message = f'{cells.place(row)}: "{name}" is {_shown(cell)}, which is no list of numbers'
            raise DataError(message, "write as many numbers in all of its lists") from None
        if rows[row].shape != rows[0].shape:
            here, first = list(rows[row].shape), list(rows[0].shape)
            raise DataError(
                f'{cells.place(row)}: "{name}" is {here}, and {first} in the first row', "give all one shape"
            )
    found = np.stack(rows)
    _require_finite(cells, name, found)
    return found


def _shown(cell: Cell) -> str:
    text = repr(cell)
    return text if len(text) <= 40 else f"{text[:37]}..."
