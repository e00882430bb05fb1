"""IDX files: what is read, what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from picture_files import pixels, write_idx

from dlspec.runtime.data import Data, DataError, Field, open_data
from dlspec.runtime.data.files import FoundFile
from dlspec.runtime.data.idx import read_idx

PICTURES = pixels(0, 20, 5, 4)
LABELS = (np.arange(20) % 3).astype(np.uint8)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for ending in ("", ".gz"):
        write_idx(tmp_path / f"x{ending}", PICTURES)
        write_idx(tmp_path / f"y{ending}", LABELS)
    return tmp_path


def idx(base: Path, images: str = "x", labels: str | None = "y", **options: Any) -> Data:
    named = {"images": images} | ({} if labels is None else {"labels": labels})
    return open_data({"source": "idx", "options": {**named, **options}}, base=base, seed=0)


def batch(data: Data, split: str = "train") -> dict[str, torch.Tensor]:
    part = getattr(data, split)
    return part.batch(0, torch.arange(len(part)))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_pictures_and_their_labels(base: Path, ending: str) -> None:
    data = idx(base, f"x{ending}", f"y{ending}")
    assert (len(data.train), data.validation and len(data.validation)) == (18, 2)
    assert data.fields == {"image": Field("float", (1, 5, 4)), "label": Field("int", (), 3, ("0", "1", "2"))}
    assert {name: one["size"] for name, one in data.fingerprint.items()} == {
        f"{name}{ending}": (base / f"{name}{ending}").stat().st_size for name in "xy"
    }
    seen = {name: torch.cat([batch(data)[name], batch(data, "validation")[name]]) for name in ("image", "label")}
    rows = [int(np.flatnonzero(((one[0] * 255).round().numpy() == PICTURES).all((1, 2)))[0]) for one in seen["image"]]
    assert sorted(rows) == list(range(20))
    assert seen["label"].tolist() == LABELS[rows].tolist()
    assert torch.equal(seen["image"][:, 0], torch.from_numpy(PICTURES[rows]).float() / 255)


def test_a_validation_part_of_its_own_keeps_the_order(base: Path) -> None:
    write_idx(base / "x2", pixels(1, 4, 5, 4))
    write_idx(base / "y2", np.array([3, 0, 0, 0], np.uint8))
    data = idx(base, validation=["x2", "y2"])
    assert (len(data.train), data.fields["label"].classes) == (20, 4), "classes of both parts"
    assert batch(data)["label"].tolist() == LABELS.tolist()
    assert batch(data, "validation")["label"].tolist() == [3, 0, 0, 0]
    assert sorted(data.fingerprint) == ["x", "x2", "y", "y2"]


def test_pictures_without_labels(base: Path) -> None:
    data = idx(base, labels=None, split=[1, 0])
    assert list(batch(data)) == list(data.fields) == ["image"] and data.validation is None


def test_what_the_spec_says_of_size_and_classes_is_held_against_the_files(base: Path) -> None:
    assert idx(base, size=[5, 4], classes=4).fields["label"].classes == 4
    with pytest.raises(DataError, match="`size` is 4 x 5, and the pictures of x are 5 x 4"):
        idx(base, size=[4, 5])
    with pytest.raises(DataError, match="y has the label 2 in row 2, and 2 classes are 0 to 1") as fault:
        idx(base, classes=2)
    assert fault.value.help == "write classes = 3, or leave it out"


def head(*numbers: int) -> bytes:
    return np.array(numbers, ">u4").tobytes()


@pytest.mark.parametrize(
    ("name", "content", "message", "help"),
    [
        ("x", b"", "x is no IDX file: it is empty", "begin with 00 00 08 03"),
        ("x", b"PK\3\4....", "x is no IDX file: it begins with 50 4b 03 04", "begin with 00 00 08 03"),
        ("x", b"\0\0\7\3" + head(20, 5, 4), "x is no IDX file: it begins with 00 00 07 03", ""),
        ("x", b"\0\0\x08", "x is no IDX file: it begins with 00 00 08", ""),
        ("x", b"\0\0\x08\3" + head(20, 5), "x is cut off: it ends within its head", "fetch it again"),
        ("x", b"\0\0\x08\3" + head(20, 5, 4) + b"abc", "says 20 x 5 x 4, 400 bytes, and 3 are there", "fetch it again"),
        ("x", b"\0\0\x08\3" + head(1, 1, 2) + b"abc", "goes on after the 2 bytes that it says", ""),
        ("x", b"\0\0\x08\3" + head(2**32 - 1, 2**32 - 1, 2**32 - 1), "x is cut off: it says 4,294,967,295 x", ""),
        ("x", b"\0\0\x08\3" + head(0, 5, 4), "x holds no picture", ""),
        ("x", b"\0\0\x0d\3" + head(1, 1, 1) + b"abcd", "x holds floats, and pictures are bytes", "store them as bytes"),
        ("x", b"\0\0\x08\1" + head(2) + b"ab", "x holds labels, where pictures are asked for", "pictures come first"),
        ("x", b"\0\0\x08\4" + head(1, 1, 1, 1) + b"a", "x has 4 axes, where pictures are asked for", "pictures have 3"),
        ("y", b"\0\0\x08\1" + head(19) + b"a" * 19, "x holds 20 pictures, and y 19 labels", "one for each"),
        ("y", b"\0\0\x08\3" + head(1, 1, 1) + b"a", "y holds pictures, where labels are asked for", "come first"),
        (
            "x",
            gzip.compress(b"\0\0\x08\3" + head(1, 1, 1) + b"a", mtime=0)[:-6],
            "x is damaged or cut off",
            "fetch it again",
        ),
        ("x", b"\x1f\x8b" + b"nothing of the kind", "x is damaged or cut off", "fetch it again"),
    ],
)
def test_what_is_refused(base: Path, name: str, content: bytes, message: str, help: str) -> None:
    (base / name).write_bytes(content)
    with pytest.raises(DataError) as fault:
        idx(base)
    assert message in fault.value.message
    assert help in fault.value.help


@given(st.binary(max_size=24), st.booleans())
def test_whatever_a_file_holds_it_is_read_or_refused(content: bytes, headed: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(b"\0\0\x08\3\0\0\0" * headed + content)
        try:
            found = read_idx(FoundFile("x", path), 3, {})
        except DataError:
            return
        assert found.ndim == 3 and found.size == len(content) - 16 + 7


def test_files_that_are_not_there(base: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file z\.gz"):
        idx(base, "z.gz")
    write_idx(base / "x2", pixels(1, 4, 6, 4))
    write_idx(base / "y2", np.zeros(4, np.uint8))
    with pytest.raises(DataError, match="the pictures are 5 x 4 in x, and 6 x 4 in x2"):
        idx(base, validation=["x2", "y2"])
    with pytest.raises(DataError, match="none is left for training"):
        idx(base, split=[0.01, 0.5])
