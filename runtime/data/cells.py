"""The cells of a table's file by column: .csv, .jsonl or .parquet, the first with a head that names the columns."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ..json_text import UnreadableJson, decode_json
from .faults import DataError
from .files import FoundFile, read_file
from .utf8 import decoded

Cell = Any
"""Text of a .csv; of the others whatever they hold, None where there is nothing."""


@dataclass(frozen=True)
class Cells:
    """`columns` all have the same length, one at least; `lines` says where in the file a row is."""

    name: str
    columns: Mapping[str, Sequence[Cell]]
    lines: Sequence[int]
    unit: str = "line"

    def place(self, row: int) -> str:
        """A row as an editor shows it: `houses.csv, line 7`."""
        return f"{self.name}, {self.unit} {self.lines[row]:,}"

    @property
    def unseparated(self) -> bool:
        """Whether something else than commas stands between the cells, so that all columns are one."""
        return len(self.columns) == 1 and any(mark in next(iter(self.columns)) for mark in (";", "\t"))

    def column(self, name: str) -> Sequence[Cell]:
        """Raises DataError with the nearest name where there is none of this one."""
        if name in self.columns:
            return self.columns[name]
        near = difflib.get_close_matches(name, self.columns, n=1)
        help = f'did you mean "{near[0]}"?' if near else f"it has {listed(self.columns)}"
        if self.unseparated:
            help = "its cells are not separated by commas: write it with commas"
        raise DataError(f'{self.name} has no column "{name}"', help)


def read_cells(file: FoundFile) -> Cells:
    """Raises DataError for a file that is none of its kind, with the line."""
    kind = PurePath(file.name).suffix.lower()
    if kind == ".parquet":
        return _parquet(file)
    text = decoded(file, read_file(file)).removeprefix("\ufeff")
    cells = _rows_of_csv(file, text) if kind == ".csv" else _rows_of_jsonl(file, text)
    if not cells.lines:
        raise DataError(f"{file.name} holds no row" + (" below its head" if kind == ".csv" else ""))
    return cells


def listed(names: Iterator[str] | Mapping[str, Any] | Sequence[str], most: int = 20) -> str:
    all_names = list(names)
    rest = len(all_names) - most
    return ", ".join(f'"{name}"' for name in all_names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _rows_of_csv(file: FoundFile, text: str) -> Cells:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        last = 0
        for row in reader:
            if row:  # an empty line is none
                rows.append(row)
                lines.append(last + 1)  # where it begins: a cell in quotes may hold several lines
            last = reader.line_num
    except csv.Error as error:
        raise DataError(f"{file.name}, line {reader.line_num:,} is no row of a .csv: {error}") from None
    if not rows:
        raise DataError(f"{file.name} holds no row")
    head = [name.strip() for name in rows[0]]
    for name in head:
        if head.count(name) > 1:
            places = " and ".join(str(place) for place, other in enumerate(head, start=1) if other == name)
            raise DataError(
                f'{file.name} names two columns "{name}", the cells {places} of line {lines[0]}',
                "give each its own name",
            )
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(head):
            raise DataError(
                f"{file.name}, line {line:,} has {len(row)} cells, and the head {len(head)}",
                "a cell that holds a comma stands in quotes" if len(row) > len(head) else "",
            )
    columns = list(zip(*rows[1:], strict=True)) if len(rows) > 1 else [()] * len(head)
    return Cells(file.name, dict(zip(head, columns, strict=True)), lines[1:])


def _rows_of_jsonl(file: FoundFile, text: str) -> Cells:
    rows, lines = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = decode_json(line, constants=False)  # NaN is no value
        except UnreadableJson as fault:
            raise DataError(f"{file.name}, line {number:,} {fault}") from None
        if not isinstance(row, dict):
            raise DataError(
                f"{file.name}, line {number:,} is no JSON object", 'write a row as {"rooms": 3, "price": 250.0}'
            )
        rows.append(row)
        lines.append(number)
    return cells_of(file.name, rows, lines)


def cells_of(name: str, rows: Sequence[Mapping[str, Cell]], lines: Sequence[int], unit: str = "line") -> Cells:
    """The columns of rows that name their cells; a cell that a row does not name is None."""
    names = dict.fromkeys(column for row in rows for column in row)
    return Cells(name, {column: [row.get(column) for row in rows] for column in names}, lines, unit)


def _parquet(file: FoundFile) -> Cells:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(
            f"reading {file.name} needs pyarrow, which is not installed", 'pip install "dlspec[tables]"'
        ) from None
    try:
        table: Any = parquet.read_table(file.path)
    except (ArrowException, OSError) as error:
        raise DataError(f"{file.name} cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    names: list[str] = table.column_names
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f'{file.name} names two columns "{repeated}"', "give each its own name")
    if not table.num_rows:
        raise DataError(f"{file.name} holds no row")
    columns = {name: table.column(name).to_pylist() for name in names}
    return Cells(file.name, columns, range(1, table.num_rows + 1), unit="row")
