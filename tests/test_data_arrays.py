"""Arrays out of .npz files: what becomes of them, and what is refused."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import arrays, everything

from dlspec.runtime.data import DataError, Field
from dlspec.runtime.errors import Refused
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.predict import read_examples
from dlspec.runtime.settings import Port


def test_arrays_keep_their_rows_together(tmp_path: Path) -> None:
    rows = np.arange(100)
    np.savez(tmp_path / "a.npz", x=rows[:, None] * np.ones((1, 3)), y=rows % 5, mask=rows > 50, z=rows.astype(np.uint8))
    data = arrays(tmp_path, split=[0.7, 0.2])
    assert data.fields == {
        "x": Field("float", (3,)),
        "y": Field("int", (), 5),
        "mask": Field("bool", ()),
        "z": Field("int", (), 100),
    }
    train, held = everything(data.train), everything(data.validation)
    assert (len(data.train), len(held["y"])) == (70, 20)
    for split in (train, held):
        assert torch.equal(split["x"][:, 2].long() % 5, split["y"])
        assert torch.equal(split["x"][:, 0] > 50, split["mask"])
        assert split["x"].dtype == torch.float32 and split["z"].dtype == torch.int64
    assert len({*train["z"].tolist(), *held["z"].tolist()}) == 90
    assert set(held["y"].tolist()) == set(range(5))  # sorted rows do not end in one part


def test_arrays_of_two_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2), np.float16), y=np.array([0, 1, -100, 1]))
    np.savez(tmp_path / "b.npz", x=np.ones((3, 2), np.float64), y=np.array([2, 1, 0]))
    data = arrays(tmp_path, validation="b.npz")
    assert everything(data.train)["y"].tolist() == [0, 1, -100, 1]
    assert everything(data.validation)["x"].tolist() == [[1, 1]] * 3
    assert data.fields["y"].classes == 3
    assert set(data.fingerprint) == {"a.npz", "b.npz"}
    np.savez(tmp_path / "b.npz", x=np.ones((3, 5)), y=np.array([2, 1, 0]))
    with pytest.raises(DataError, match=r"float32 \[2\] an example in a.npz, and float32 \[5\] in b.npz"):
        arrays(tmp_path, validation="b.npz")
    np.savez(tmp_path / "b.npz", x=np.ones((3, 2)))
    with pytest.raises(DataError, match="hold different arrays: x, y and x"):
        arrays(tmp_path, validation="b.npz")


@pytest.mark.parametrize(
    ("stored", "message", "help"),
    [
        ({"x": np.zeros(3), "y": np.zeros(4)}, "differ in length: x 3, y 4", "first axis"),
        ({"x": np.array([[1], "two"], dtype=object)}, "not loaded: they could run code", "numpy.stack"),
        ({"x": np.array(["cat", "dog"])}, "the type <U3", "return_inverse"),
        ({"x": np.zeros(2, complex)}, "the type complex128", ""),
        (
            {"x": np.array([0.0, np.nan, np.inf])},
            "not finite as float32: 2 of them, the first in example 1",
            "fill them in, or take out the examples",
        ),
        ({"x": np.array([1.0, 1e300])}, "not finite as float32: 1 of them, the first in example 1", ""),
        ({"x": np.float32(1)}, "a single number", ""),
        ({"x": np.zeros((0, 3))}, "hold no example", ""),
        ({}, "holds no array", ""),
        ({"x": np.zeros(1)}, "has 1 example: none is left for training", "`split = [1, 0]` keeps none back"),
    ],
)
def test_what_arrays_refuse(tmp_path: Path, stored: dict[str, Any], message: str, help: str) -> None:
    np.savez(tmp_path / "a.npz", **stored)
    with pytest.raises(DataError, match=message) as fault:
        arrays(tmp_path)
    assert help in fault.value.help


def test_what_is_said_to_write_where_a_split_leaves_nothing(tmp_path: Path) -> None:
    for count, split, mended in ((1, [0.99, 0.01], [1, 0]), (2, [0.1, 0.9], [0.9, 0.1])):
        np.savez(tmp_path / "a.npz", x=np.zeros(count))
        with pytest.raises(DataError, match=f"has {count} example") as fault:
            arrays(tmp_path, split=split)
        assert f"`split = {mended}`" in fault.value.help
        assert len(arrays(tmp_path, split=mended).train) == 1


HEADERS = {
    "more than there is": ("{'descr': '<f8', 'fortran_order': False, 'shape': (11,)}", "expected 88 bytes got 80"),
    "more than memory": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000000,)}",
        "Unable to allocate",
    ),
    "more than memory addresses": (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807,)}",
        "array is too big",
    ),
    "a negative length": ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", "negative dimensions"),
    "too many axes": (
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({'1,' * 99})}}",
        "maximum supported dimension",
    ),
    "a length that is a bool": ("{'descr': '<f8', 'fortran_order': True, 'shape': (True,)}", "header cannot be read"),
    "keys of two types": ("{'descr': '<f8', 1: False, 'shape': (10,)}", "header cannot be read"),
    "a set of a dict": ("{{}}", "header cannot be read"),
    "cut off": ("{'descr': ", "header cannot be read"),
    "nested": ("(" * 300, "header cannot be read"),
    "deeply nested": ("-" * 9000 + "1", "header cannot be read"),
    "long": ("{" + " " * 10_000, "Header info length (10001) is large"),
    "other keys": ("{'a': 1}", "does not contain the correct keys"),
    "a number of many digits": ("{'shape': (" + "9" * 5000 + ",)}", "Cannot parse header"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_arrays_with_a_damaged_header(tmp_path: Path, case: str) -> None:
    """The same of data and of what a model is to predict, in one line that is not too long to read."""
    header, reason = HEADERS[case]
    npy = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + bytes(80)
    (tmp_path / "in.npy").write_bytes(npy)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as out:
        out.writestr("x.npy", npy)
    with pytest.raises(DataError) as fault:
        arrays(tmp_path)
    message = fault.value.message
    assert message.startswith("the array x of a.npz is damaged: ") and reason in message
    assert len(message) < 220 and "\n" not in message
    model = Metadata("", "", (Port("x", "float", ("B",)),), ())
    for name in ("a.npz", "in.npy"):
        with pytest.raises(Refused) as refused:
            read_examples(tmp_path / name, model)
        assert refused.value.message.startswith(f"{name} cannot be read as arrays of numbers: ")
        assert len(refused.value.message) < 220 and "\n" not in refused.value.message


def test_a_header_that_claims_what_is_there(tmp_path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (10,)}"
    npy = b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + np.arange(10.0).tobytes()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as out:
        out.writestr("x.npy", npy)
    assert sorted(everything(arrays(tmp_path, split=[1.0, 0.0]).train)["x"].tolist()) == [*range(10)]
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as out:
        out.writestr("x.npy", b"no array")
    with pytest.raises(DataError, match=r"^the array x of a\.npz is damaged: it is no \.npy$"):
        arrays(tmp_path)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(2**63, "9223372036854775808"), (2**64 - 100, "18446744073709551516"), (2**64 - 1, "18446744073709551615")],
)
@pytest.mark.parametrize("order", "<>")
def test_labels_beyond_the_whole_numbers_are_told_as_they_are(
    tmp_path: Path, number: int, shown: str, order: str
) -> None:
    """int64 would hold another number, below 0."""
    labels = np.zeros(8, f"{order}u8")
    np.savez(tmp_path / "a.npz", x=np.zeros(8), label=labels)
    labels[[5, 6]] = number
    for settings, file in (({}, "a.npz"), ({"validation": "b.npz"}, "b.npz")):
        np.savez(tmp_path / file, x=np.zeros(8), label=labels)
        with pytest.raises(DataError) as fault:
            arrays(tmp_path, **settings)
        ends = "whole numbers end at 9,223,372,036,854,775,807"
        assert fault.value.message == f"the array label of {file} holds, in example 5, {shown}, and {ends}"
        assert fault.value.help == "number classes from 0; -100, which does not count, is stored as int64"
        np.savez(tmp_path / "a.npz", x=np.zeros(8), label=np.zeros(8, np.uint64))


def test_the_largest_whole_number_is_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", label=np.array([2**63 - 1, 0], np.uint64))
    assert sorted(everything(arrays(tmp_path, split=[1.0, 0.0]).train)["label"].tolist()) == [0, 2**63 - 1]


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no")
    with pytest.raises(DataError, match=r"a.npz is no .npz file"):
        arrays(tmp_path)
    np.savez(tmp_path / "a.npz", x=np.arange(1000.0))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"a.npz is no .npz file"):
        arrays(tmp_path)
    np.savez(tmp_path / "b.npz", x=np.arange(1000.0))
    damaged = bytearray((tmp_path / "b.npz").read_bytes())
    damaged[3000] ^= 1
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(DataError, match=r"the array x of a\.npz is damaged"):
        arrays(tmp_path)
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(DataError, match="one array without a name"):
        arrays(tmp_path)
