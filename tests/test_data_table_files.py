"""Tables out of files: what becomes of their columns, and which line is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from dlspec.runtime.data import Data, DataError, Split, open_data

HOUSES = "rooms,area,kind,price\n3,70.5,flat,210\n5,120,house,400\n2,40,flat,150\n4,95,villa,380\n"
ALL: dict[str, Any] = {"split": [1.0, 0.0]}


def table(base: Path, content: str | None = None, file: str = "a.csv", **options: Any) -> Data:
    if content is not None:
        (base / file).write_text(content, encoding="utf-8", newline="")
    settings = {"file": file, **ALL, **options}
    settings = {name: value for name, value in settings.items() if value is not None}
    return open_data({"source": "table", "options": settings}, base=base, seed=0)


def rows(split: Split | None) -> list[dict[str, Any]]:
    assert split is not None
    batch = split.batch(0, torch.arange(len(split)))
    return [{name: column[row].tolist() for name, column in batch.items()} for row in range(len(split))]


def lines(content: str) -> str:
    """The same rows as JSON lines, numbers as numbers."""
    head, *others = (line.split(",") for line in content.strip().split("\n"))
    told = (
        {name: json.loads(cell) if cell[0].isdigit() else cell for name, cell in zip(head, row, strict=True)}
        for row in others
    )
    return "".join(f"{json.dumps(row)}\n" for row in told)


# --- what becomes of columns


@pytest.mark.parametrize("file", ["a.csv", "a.jsonl", "a.parquet"])
def test_columns_side_by_side_and_a_target(tmp_path: Path, file: str) -> None:
    if file == "a.parquet":
        told = [json.loads(line) for line in lines(HOUSES).splitlines()]
        parquet.write_table(pa.Table.from_pylist(told), tmp_path / file)
    else:
        (tmp_path / file).write_text(HOUSES if file == "a.csv" else lines(HOUSES))
    data = table(tmp_path, file=file, features=["area", "rooms"], target="price")
    assert sorted(rows(data.train), key=lambda row: row["target"]) == [
        {"features": [40, 2], "target": 150},
        {"features": [70.5, 3], "target": 210},
        {"features": [95, 4], "target": 380},
        {"features": [120, 5], "target": 400},
    ]
    assert (data.fields["features"].dtype, data.fields["features"].dims) == ("float", (2,))
    assert (data.fields["target"].dtype, data.fields["target"].dims) == ("float", ())
    assert list(data.fingerprint) == [file]


def test_words_are_classes_in_alphabetical_order(tmp_path: Path) -> None:
    data = table(tmp_path, HOUSES, features=["rooms"], target="kind", classes=3)
    field = data.fields["target"]
    assert (field.dtype, field.dims, field.classes, field.names) == ("int", (), 3, ("flat", "house", "villa"))
    assert {row["features"][0]: row["target"] for row in rows(data.train)} == {3: 0, 5: 1, 2: 0, 4: 2}


def test_numbers_from_0_are_classes_without_names(tmp_path: Path) -> None:
    data = table(tmp_path, "x,y\n1.5,1\n2.5,0\n3.5,1\n", features="x", target="y", classes=2)
    assert data.fields["target"].classes == 2 and data.fields["target"].names is None
    assert {row["features"]: row["target"] for row in rows(data.train)} == {1.5: 1, 2.5: 0, 3.5: 1}


def test_classes_written_with_a_point_are_numbers(tmp_path: Path) -> None:
    """As a column is written that had gaps once: 10.0 is the class 10, and not what comes behind 1.0."""
    lines = "".join(f"{number},{number}{'.0' if number % 3 else ''}\n" for number in range(12))
    data = table(tmp_path, f"x,y\n{lines}", features="x", target="y", classes=12, split=[1, 0])
    assert data.fields["target"].names is None
    assert {row["features"]: row["target"] for row in rows(data.train)} == {n: n for n in range(12)}
    with pytest.raises(DataError, match="2 classes are numbered 0 to 1"):
        table(tmp_path, "x,y\n1,1.0\n2,2.0\n", features="x", target="y", classes=2)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match="a directory, not a file") as fault:
        open_data({"source": "table", "options": {"file": "a.csv"}}, base=tmp_path, seed=0)
    assert fault.value.help == "write the name of a file in it"


@pytest.mark.parametrize(
    ("file", "help"),
    [
        ("https://example.org/a.csv", "nothing is fetched"),
        ("s3://a/a.csv", "nothing is fetched"),
        ("~/a.csv", "`~` is no"),
    ],
)
def test_a_file_that_lies_elsewhere(tmp_path: Path, file: str, help: str) -> None:
    with pytest.raises(DataError, match="there is no file") as fault:
        table(tmp_path, file=file)
    assert help in fault.value.help


def test_every_column_is_a_field_where_none_is_named(tmp_path: Path) -> None:
    data = table(tmp_path, HOUSES)
    assert {name: (field.dtype, field.dims, field.classes) for name, field in data.fields.items()} == {
        "rooms": ("int", (), 6),
        "area": ("float", (), None),
        "kind": ("int", (), 3),
        "price": ("int", (), 401),
    }
    assert {"rooms": 5, "area": 120.0, "kind": 1, "price": 400} in rows(data.train)


def test_a_column_of_lists_is_a_field_of_their_shape(tmp_path: Path) -> None:
    content = '{"x": [[1, 2], [3, 4]], "y": 1}\n\n{"x": [[5, 6], [7, 8.5]], "y": 2}\n'
    data = table(tmp_path, content, "a.jsonl", features="x", target="y")
    assert data.fields["features"].dims == (2, 2)
    assert {"features": [[5, 6], [7, 8.5]], "target": 2} in rows(data.train)


def test_rows_of_csv_as_spreadsheets_write_them(tmp_path: Path) -> None:
    """A byte order mark, returns, spaces, quotes with commas and new lines in them, an empty line at the end."""
    content = '\ufeffx, y\r\n" 1 ","a,\nb"\r\n2e0,c\r\n\r\n'
    data = table(tmp_path, content, features=["x"], target="y", classes=2)
    assert data.fields["target"].names == ("a,\nb", "c")
    assert sorted(row["features"][0] for row in rows(data.train)) == [1, 2]


# --- parts


def test_rows_are_kept_back_the_same_for_every_run(tmp_path: Path) -> None:
    content = "x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40))
    one, two = (table(tmp_path, content, features=["x"], target="y", split=[0.75, 0.25]) for _ in range(2))
    assert (len(one.train), len(one.validation or ())) == (30, 10)
    assert rows(one.validation) == rows(two.validation)
    held = [row["features"][0] for row in rows(one.validation)]
    assert sorted(held + [row["features"][0] for row in rows(one.train)]) == list(range(40)) and held != sorted(held)


def test_a_validation_file_has_the_classes_of_the_other(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("area,kind\n1,villa\n2,flat\n")
    data = table(tmp_path, HOUSES, features=["area"], target="kind", classes=3, split=None, validation="v.csv")
    assert rows(data.validation) == [{"features": [1], "target": 2}, {"features": [2], "target": 0}]
    (tmp_path / "v.csv").write_text("area,kind\n1,villa\n2,tent\n")
    with pytest.raises(DataError) as raised:
        table(tmp_path, HOUSES, features=["area"], target="kind", classes=3, split=None, validation="v.csv")
    assert raised.value.message == "v.csv, line 3: \"kind\" is 'tent', which no row of the training file has"
    assert raised.value.help == 'there are "flat", "house", "villa"'


# --- what is wrong

BASE = "x,y\n1,a\n2,b\n"
FAULTS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "missing": (
        "x,y\n1,a\n,b\n ,a\n",
        {},
        'a.csv, line 3 has no value for "x" (2 rows have none)',
        "fill it in, or take the row out",
    ),
    "written as missing": (
        "x,y\n1,a\nNA,b\n",
        {},
        "a.csv, line 3 has no value for \"x\": it says 'NA'",
        "fill it in, or take the row out",
    ),
    "a class missing": (
        "x,y\n1,a\n2,\n",
        {},
        'a.csv, line 3 has no value for "y"',
        "fill it in, or take the row out",
    ),
    "text": (
        "x,y\n1,a\n2,b\nthree,b\n",
        {},
        "a.csv, line 4: \"x\" is 'three', which is no number",
        "write numbers in this column",
    ),
    "words as target": (
        "x,y\n" + "1,a\n2,b\n" * 10,
        {"classes": None},
        "a.csv, line 2: \"y\" is 'a', which is no number",
        "write numbers; for words write `classes = 2`, the number of different ones",
    ),
    "a number behind lines in quotes": (
        'x,y\n1,"a\nb"\n2_0,c\n',
        {},
        "a.csv, line 4: \"x\" is '2_0', which is no number",
        "write numbers in this column",
    ),
    "too large": (
        "x,y\n1,a\n1e39,b\n",
        {},
        "a.csv, line 3: \"x\" is '1e39', which float32 does not hold",
        "fill it in, or take the row out",
    ),
    "too many cells": (
        "x,y\n1,a\n2,b,c\n",
        {},
        "a.csv, line 3 has 3 cells, and the head 2",
        "a cell that holds a comma stands in quotes",
    ),
    "too few cells": ("x,y\n1,a\n\n2\n", {}, "a.csv, line 4 has 1 cells, and the head 2", ""),
    "an open quote": (
        'x,y\n1,a\n2,"b\n',
        {},
        "a.csv, line 3 is no row of a .csv: unexpected end of data",
        "",
    ),
    "no such column": (BASE, {"features": ["z", "x"]}, 'a.csv has no column "z"', 'it has "x", "y"'),
    "a misspelt column": (
        "price,y\n1,a\n2,b\n",
        {"features": ["pirce"]},
        'a.csv has no column "pirce"',
        'did you mean "price"?',
    ),
    "other separators": (
        "x;y\n1;a\n",
        {},
        'a.csv has no column "x"',
        "its cells are not separated by commas: write it with commas",
    ),
    "two of one name": (
        "x,y,x\n1,a,2\n",
        {},
        'a.csv names two columns "x", the cells 1 and 3 of line 1',
        "give each its own name",
    ),
    "no row": ("x,y\n", {}, "a.csv holds no row below its head", ""),
    "too many words": (
        "x,y\n1,a\n2,b\n3,c\n",
        {},
        'the column "y" of a.csv has 3 different words, and `classes` is 2',
        'write `classes = 3`, or mend the words: "a", "b", "c"',
    ),
    "a class out of range": (
        "x,y\n1,1\n2,0\n3,2\n",
        {},
        'a.csv, line 4: "y" is 2, and 2 classes are numbered 0 to 1',
        "number them from 0, or write words",
    ),
    "an empty class": (
        "x,y\n1,1\n2,1\n",
        {},
        'no row of the training part of a.csv has the class 0 of "y": nothing can be learned of it',
        "give it rows, or a larger part in `split`",
    ),
    "one class of three that is empty": (
        "x,y\n1,0\n2,2\n",
        {"classes": 3},
        'no row of the training part of a.csv has the class 1 of "y": nothing can be learned of it',
        "give it rows, or a larger part in `split`; without it write `classes = 2`",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_names_its_line(tmp_path: Path, case: str) -> None:
    content, options, message, help = FAULTS[case]
    with pytest.raises(DataError) as raised:
        table(tmp_path, content, **{"features": ["x"], "target": "y", "classes": 2, **options})
    assert (raised.value.message, raised.value.help) == (message, help)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"x": 1}\n{"x": 2', "a.jsonl, line 2 is no JSON: "),
        ('{"x": 1}\n\n[2]\n', "a.jsonl, line 3 is no JSON object"),
        ('{"x": 1}\n{"y": 2}\n', 'a.jsonl, line 2 has no value for "x"'),
        ('{"x": 1}\n{"x": NaN}\n', 'a.jsonl, line 2 has no value for "x"'),
        ('{"x": 1}\n{"x": "two"}\n', "a.jsonl, line 2: \"x\" is 'two', which is no number"),
        ('{"x": [1, 2]}\n{"x": [1]}\n', 'a.jsonl, line 2: "x" is [1], and [2] in the first row'),
        ('{"x": [1, 2]}\n{"x": [1, "b"]}\n', "a.jsonl, line 2: \"x\" is [1, 'b'], which is no list of numbers"),
        ("\n", "a.jsonl holds no row"),
        (
            '{"x": 1}\n{"x": 1e999}\n',
            'a.jsonl, line 2: "x" is inf, which float32 does not hold',
        ),
        (
            f'{{"x": 1}}\n{{"x": {"9" * 4300}}}\n',
            f'a.jsonl, line 2: "x" is {"9" * 37}..., which float32 does not hold',
        ),
        (f'{{"x": 1}}\n{{"x": {"9" * 4301}}}\n', "a.jsonl, line 2 holds a whole number of more than 4,300 digits"),
        (
            f'{{"x": [1]}}\n{{"x": [{"9" * 400}]}}\n',
            f'a.jsonl, line 2: "x" is [{"9" * 36}..., which float32 does not hold',
        ),
        (
            f'{{"x": [1]}}\n{{"x": {"[" * 100}1{"]" * 100}}}\n',
            f'a.jsonl, line 2: "x" is {"[" * 37}..., which is no list of numbers',
        ),
        (f'{{"x": [1]}}\n{{"x": {"[" * 99_999}\n', "a.jsonl, line 2 has too many brackets inside brackets"),
    ],
)
def test_what_is_wrong_with_lines_of_json(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        table(tmp_path, content, "a.jsonl", features="x")
    assert raised.value.message.startswith(message)


WHOLE = "whole numbers end at 9,223,372,036,854,775,807"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (2**53 + 1, None),  # which float64 does not hold
        (2**63 - 1, None),
        (-(2**63), None),
        (2**63, f"is 9223372036854775808, and {WHOLE}"),
        (-(2**63) - 1, "is -9223372036854775809, and whole numbers begin at -9,223,372,036,854,775,808"),
        (10**400, f"is 1{'0' * 36}..., and {WHOLE}"),
    ],
    ids=lambda value: str(value)[:24],
)
@pytest.mark.parametrize("file", ["a.csv", "a.jsonl"])
def test_whole_numbers_of_any_size_are_kept_or_told(
    tmp_path: Path, number: int, message: str | None, file: str
) -> None:
    content = f"x,y\n3,1.5\n{number},2\n" if file == "a.csv" else f'{{"x": 3}}\n{{"x": {number}}}\n'
    if message is None:
        assert {row["x"] for row in rows(table(tmp_path, content, file).train)} == {3, number}
        return
    with pytest.raises(DataError) as raised:
        table(tmp_path, content, file)
    assert raised.value.message == f'{file}, line {3 if file == "a.csv" else 2}: "x" {message}'


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("1e999", {}, 'a.jsonl, line 2: "x" is inf, which float32 does not hold'),
        ("-1e999", {}, 'a.jsonl, line 2: "x" is -inf, which float32 does not hold'),
        (
            "1e999",
            {"target": "x", "classes": 2},
            'the column "x" of a.jsonl has 3 different words, and `classes` is 2',
        ),
        (
            "9" * 4300,
            {"target": "x", "classes": 2},
            f'a.jsonl, line 2: "x" is {"9" * 37}..., and 2 classes are numbered 0 to 1',
        ),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_column_with_a_number_that_has_no_end(
    tmp_path: Path, cell: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as raised:
        table(tmp_path, f'{{"x": 1}}\n{{"x": {cell}}}\n{{"x": 0}}\n', "a.jsonl", **options)
    assert raised.value.message == message


def test_what_is_wrong_with_parquet(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": [1.0, None, np.nan]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r'a.parquet, row 2 has no value for "x" \(2 rows have none\)'):
        table(tmp_path, file="a.parquet", features=["x"])
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet: "):
        table(tmp_path, file="a.parquet", features=["x"])


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError) as raised:
        table(tmp_path, file="a.parquet", features=["x"])
    assert raised.value.help == 'pip install "dlspec[tables]"'
