"""What is wrong with the columns of a table is told at once: the first cell of each kind in each column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlspec.cli.main import main
from dlspec.runtime.data import Data, DataError, open_data
from dlspec.runtime.errors import RuntimeFault
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.predict import read_examples
from dlspec.runtime.settings import Port
from dlspec.runtime.table_columns import Columns

FILL = "fill it in, or take the row out"
SPEC = """\
dlspec 1
model Net: (features: [B, 2]) -> (score: [B]) {
  Linear(1) -> reshape([B])
}
train Net {
  data      = table("a.csv", features = ["a", "b"], target = "y")
  loss      = mse(score, data.target)
  optimizer = AdamW(lr = 1e-2)
  steps     = 2
  batch     = 2
}
"""
WRONG = "a,b,y\n1,2,3\n,x,4\nten,5,\n1e39,6,7\n"
TOLD = [
    ('a.csv, line 3 has no value for "a"', FILL),
    ("a.csv, line 4: \"a\" is 'ten', which is no number", "write numbers in this column"),
    ("a.csv, line 5: \"a\" is '1e39', which float32 does not hold", FILL),
    ("a.csv, line 3: \"b\" is 'x', which is no number", "write numbers in this column"),
    ('a.csv, line 4 has no value for "y"', FILL),
]


def table(base: Path, **options: Any) -> Data:
    settings = {"file": "a.csv", "split": [1.0, 0.0], **options}
    return open_data({"source": "table", "options": settings}, base=base, seed=0)


def told(base: Path, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(DataError) as raised:
        table(base, **options)
    fault = raised.value
    assert fault.message.splitlines() == [one.message for one in fault.each]
    assert fault.help.splitlines() == list(dict.fromkeys(one.help for one in fault.each if one.help))
    return [(one.message, one.help) for one in fault.each]


def test_every_column_and_every_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(WRONG)
    assert told(tmp_path, features=["a", "b"], target="y") == TOLD


def test_so_it_is_of_both_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n1,cat\n,dog\n")
    (tmp_path / "b.csv").write_text("c,y\n1,cow\n2,\n3,cow\n")
    assert told(tmp_path, validation="b.csv", features=["a"], target="y", classes=2) == [
        ('a.csv, line 3 has no value for "a"', FILL),
        ('b.csv has no column "a"', 'it has "c", "y"'),
        ('b.csv, line 3 has no value for "y"', FILL),
    ]
    (tmp_path / "b.csv").write_text("a,y\n1,cow\n2,pig\n3,cow\n")
    unknown = [
        f"b.csv, line {line}: \"y\" is '{word}', which no row of the training file has"
        for line, word in ((2, "cow"), (3, "pig"))
    ]
    assert told(tmp_path, validation="b.csv", features=["a"], target="y", classes=2)[1:] == [
        (message, 'there are "cat", "dog"') for message in unknown
    ]


def test_classes_that_are_missing_and_out_of_range(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n1,0\n2,\n3,2\n4,5\n")
    assert told(tmp_path, features=["a"], target="y", classes=2) == [
        ('a.csv, line 3 has no value for "y"', FILL),
        ('a.csv, line 4: "y" is 2, and 2 classes are numbered 0 to 1', "number them from 0, or write words"),
    ]


def test_columns_that_are_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,2.5,x\n,,\n99999999999999999999,1,z\n")
    assert told(tmp_path) == [
        ('a.csv, line 3 has no value for "a"', FILL),
        ('a.csv, line 3 has no value for "b"', FILL),
        ('a.csv, line 3 has no value for "c"', FILL),
    ]


def test_lists_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": [1, 2]}\n{"a": null}\n{"a": [3]}\n{"a": ["x", 2]}\n{"a": [1e39, 2]}\n')
    assert told(tmp_path, file="a.jsonl", features="a") == [
        ('a.jsonl, line 2 has no value for "a"', FILL),
        ('a.jsonl, line 3: "a" is [1], and [2] in the first row', "give all one shape"),
        (
            "a.jsonl, line 4: \"a\" is ['x', 2], which is no list of numbers",
            "write as many numbers in all of its lists",
        ),
        ('a.jsonl, line 5: "a" is [1e+39, 2], which float32 does not hold', FILL),
    ]


def test_there_are_no_more_than_can_be_read(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(14)]
    (tmp_path / "a.csv").write_text(f"{','.join(names)}\n{',' * 13}\n")
    found = told(tmp_path, features=names)
    assert found[:10] == [(f'a.csv, line 2 has no value for "{name}"', FILL) for name in names[:10]]
    assert found[10:] == [("and 4 more", "")]


def test_each_has_its_help_where_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text(WRONG)
    spec = tmp_path / "net.dlspec"
    spec.write_text(SPEC)
    assert main(["check", str(spec), "--data"]) == 1
    shown = capsys.readouterr().out
    assert all(f"error: {message} [bad-data]" in shown and f"= help: {help}" in shown for message, help in TOLD)
    assert "5 errors" in shown
    assert main(["train", str(spec), "--run", str(tmp_path / "run")]) == 1
    assert "\n".join(f"error: {message}\n  = help: {help}" for message, help in TOLD) in capsys.readouterr().err


def test_so_it_is_where_a_model_is_to_predict(tmp_path: Path) -> None:
    columns = {"age": Columns(("age",), stacked=False), "rooms": Columns(("rooms",), stacked=False)}
    inputs = (Port("age", "float", ("B",)), Port("rooms", "int", ("B",)))
    (tmp_path / "b.csv").write_text("age,rooms\nold,1\n2,1.5\n")
    with pytest.raises(RuntimeFault) as raised:
        read_examples(tmp_path / "b.csv", Metadata("", "", inputs, (), columns=columns))
    assert [one.message for one in raised.value.each] == [
        "b.csv, line 2: \"age\" is 'old', which is no number",
        'b.csv, line 3: "rooms" is 1.5, and the model takes whole numbers',
    ]
