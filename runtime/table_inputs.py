"""Rows of a table as inputs of a trained model: a .csv, .jsonl or .parquet, or objects of a .json.

Needs no PyTorch: an exported model brings its columns along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .data.cells import Cells, cells_of, listed, read_cells
from .data.columns import class_words, is_whole, numbered, numbers, side_by_side, whole_numbers
from .data.faults import DataError, Faults
from .data.files import FoundFile
from .settings import Port
from .table_columns import Columns

SUFFIXES = (".csv", ".jsonl", ".parquet")


def read_rows(path: Path, inputs: Sequence[Port], columns: Mapping[str, Columns]) -> dict[str, NDArray]:
    """The inputs in the rows of a .csv, .jsonl or .parquet; other columns are left out. Raises DataError for a file
    that is none, with the line, and for a column that is not there."""
    return _inputs(read_cells(FoundFile(path.name, path)), inputs, columns)


def inputs_of_rows(
    rows: Sequence[Mapping[str, Any]], name: str, inputs: Sequence[Port], columns: Mapping[str, Columns]
) -> dict[str, NDArray]:
    """The same of rows that name their cells; `name` is the file they are from."""
    return _inputs(cells_of(name, rows, range(1, len(rows) + 1), "row"), inputs, columns)


def named_columns(columns: Mapping[str, Columns]) -> str:
    """`"length", "width"`: every column that is asked for."""
    return listed(dict.fromkeys(name for each in columns.values() for name in each.names))


def _inputs(cells: Cells, inputs: Sequence[Port], columns: Mapping[str, Columns]) -> dict[str, NDArray]:
    found: dict[str, NDArray] = {}
    faults = Faults()
    for port in inputs:
        with faults.gathered():
            found[port.name] = _input(cells, port, columns[port.name])
    faults.settle()
    return found


def _input(cells: Cells, port: Port, columns: Columns) -> NDArray:
    if columns.stacked:
        return side_by_side(cells, columns.names)
    (name,) = columns.names
    if columns.words is not None:
        return numbered(cells, name, class_words(cells, name), columns.words)
    found = numbers(cells, name)
    if port.dtype == "float":
        return found
    for row, cell in enumerate(cells.column(name)):
        if not is_whole([cell]):
            raise DataError(f'{cells.place(row)}: "{name}" is {cell}, and the model takes whole numbers')
    return whole_numbers(cells, name)
