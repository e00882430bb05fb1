"""Rows of tables as inputs of a model that learned from one: by the names of their columns, in any order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlspec.runtime.errors import RuntimeFault
from dlspec.runtime.metadata import Metadata, read_metadata, write_metadata
from dlspec.runtime.predict import read_examples
from dlspec.runtime.settings import Port
from dlspec.runtime.table_columns import Columns

SIDE = Metadata(
    "",
    "",
    (Port("features", "float", ("B", 2)),),
    (),
    columns={"features": Columns(("length", "width"), stacked=True)},
)
FIELDS = Metadata(
    "",
    "",
    (Port("age", "float", ("B",)), Port("town", "int", ("B",)), Port("rooms", "int", ("B",))),
    (),
    columns={
        "age": Columns(("age",), stacked=False),
        "town": Columns(("town",), stacked=False, words=("Bonn", "Köln")),
        "rooms": Columns(("rooms",), stacked=False),
    },
)
SERIES = Metadata(
    "", "", (Port("features", "float", ("B", 3)),), (), columns={"features": Columns(("series",), stacked=False)}
)


def read(folder: Path, name: str, content: str, metadata: Metadata) -> dict[str, list]:
    (folder / name).write_text(content, encoding="utf-8")
    return {name: array.tolist() for name, array in read_examples(folder / name, metadata).items()}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "width,kind,length\n2,moss,1\n4,?,3\n"),
        ("a.jsonl", '{"length": 1, "width": 2}\n{"width": 4, "length": 3, "kind": null}\n'),
        ("a.json", '[{"length": 1, "width": 2}, {"width": 4, "length": 3}]'),
        ("a.json", "[[1, 2], [3, 4]]"),
        ("a.json", '{"features": [[1, 2], [3, 4]]}'),
    ],
)
def test_columns_stand_in_the_order_of_the_training(tmp_path: Path, name: str, content: str) -> None:
    assert read(tmp_path, name, content, SIDE) == {"features": [[1, 2], [3, 4]]}


def test_rows_of_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"width": [2, 4], "length": [1.0, 3.0]}), tmp_path / "a.parquet")
    assert read_examples(tmp_path / "a.parquet", SIDE)["features"].tolist() == [[1, 2], [3, 4]]


def test_one_row_is_an_object(tmp_path: Path) -> None:
    assert read(tmp_path, "a.json", '{"width": 2, "length": 1}', SIDE) == {"features": [[1, 2]]}


def test_each_column_a_field(tmp_path: Path) -> None:
    """Words have the numbers that they had in the training, whichever of them are here."""
    found = read(tmp_path, "a.csv", "town,rooms,age\nKöln,3,1.5\nKöln,2,2\n", FIELDS)
    assert found == {"age": [1.5, 2], "town": [1, 1], "rooms": [3, 2]}


def test_a_cell_may_be_a_list(tmp_path: Path) -> None:
    assert read(tmp_path, "a.jsonl", '{"series": [1, 2, 3]}\n', SERIES) == {"features": [[1, 2, 3]]}


@pytest.mark.parametrize(
    ("name", "content", "metadata", "message", "help"),
    [
        ("a.csv", "lenght,width\n1,2\n", SIDE, 'a.csv has no column "length"', 'did you mean "lenght"?'),
        ("a.csv", "length,width\n1,2\n3,\n", SIDE, 'a.csv, line 3 has no value for "width"', "fill it in"),
        ("a.csv", "length,width\n1,x\n", SIDE, "a.csv, line 2: \"width\" is 'x', which is no number", ""),
        ("a.json", '[{"length": 1, "width": 2}, {"length": 1}]', SIDE, 'a.json, row 2 has no value for "width"', ""),
        ("a.json", '[{"length": 1, "width": "x"}]', SIDE, 'a.json, row 1: "width" is', ""),
        ("a.json", '["x"]', SIDE, "features in a.json holds what is no number", 'the columns "length", "width" in'),
        ("a.csv", "age,town,rooms\n1,Ulm,2\n", FIELDS, "\"town\" is 'Ulm', which no row of the training file has", ""),
        ("a.csv", "age,town,rooms\n1,Bonn,2.5\n", FIELDS, 'line 2: "rooms" is 2.5, and the model takes whole', ""),
        ("a.csv", "age,town,rooms\n", FIELDS, "a.csv holds no row below its head", ""),
        ("a.jsonl", '{"series": [1, 2]}\n', SERIES, "a row has 2 numbers, and features takes 3", ""),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, content: str, metadata: Metadata, message: str, help: str) -> None:
    with pytest.raises(RuntimeFault) as fault:
        read(tmp_path, name, content, metadata)
    assert message in fault.value.message and help in fault.value.help


@pytest.mark.parametrize("metadata", [SIDE, FIELDS, SERIES])
def test_a_file_carries_its_columns(metadata: Metadata) -> None:
    assert read_metadata(write_metadata(metadata), "a.onnx").columns == metadata.columns
    assert "dlspec.columns" not in write_metadata(Metadata("", "", (), ()))
    part = metadata.of_ports(["age"])
    assert part.columns.keys() == {port.name for port in part.inputs}


def test_columns_that_are_damaged() -> None:
    entries = {**write_metadata(SIDE), "dlspec.columns": json.dumps({"features": {"stacked": True}})}
    with pytest.raises(RuntimeFault, match=r"what a\.onnx says about itself is damaged"):
        read_metadata(entries, "a.onnx")


def test_tables_are_read_without_torch(tmp_path: Path) -> None:
    """An exported model is asked where no PyTorch is."""
    np.testing.assert_equal(read(tmp_path, "a.csv", "length,width\n1,2\n", SIDE), {"features": [[1, 2]]})
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import dlspec.runtime.predict, dlspec.runtime.metadata, dlspec.runtime.data.columns\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
