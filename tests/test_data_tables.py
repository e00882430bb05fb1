"""Arrays, digits and tasks, and whether data fits a model."""

from __future__ import annotations

import dataclasses
import json
import struct
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlspec.runtime.data import Data, DataError, Field, Message, Split, check_data, open_data
from dlspec.runtime.data.draws import parts_of, permutation, scatter
from dlspec.runtime.dims import evaluate, symbols_of
from dlspec.runtime.errors import Refused, RuntimeFault
from dlspec.runtime.metadata import Metadata
from dlspec.runtime.predict import read_examples
from dlspec.runtime.settings import Port, Settings, read_settings


def arrays(base: Path, **options: Any) -> Data:
    return open_data({"source": "arrays", "options": {"file": "a.npz", **options}}, base=base, seed=0)


def task(seed: int = 0, **options: Any) -> Data:
    settings = {"kind": "reverse", "length": 5, "vocab": 7, "examples": 200, "validation": 50, **options}
    return open_data({"source": "task", "options": settings}, base=Path(), seed=seed)


def everything(split: Split | None, epoch: int = 0) -> dict[str, torch.Tensor]:
    assert split is not None
    return split.batch(epoch, torch.arange(len(split)))


# --- drawing


def test_scatter_is_splitmix64() -> None:
    """The first numbers of the reference generator from state 1234567."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert scatter(1234567, np.arange(4, dtype=np.uint64)).tolist() == expected


@given(st.integers(0, 300), st.integers(0, 2**63))
def test_a_permutation_holds_everything_once(count: int, seed: int) -> None:
    assert sorted(permutation(seed, count).tolist()) == list(range(count))


@pytest.mark.parametrize(
    ("count", "split", "ends"),
    [
        (100, (0.29, 0.71), (29, 100)),
        (1_115_394, (0.9, 0.1), (1_003_854, 1_115_394)),
        (10, (0.55, 0.25), (5, 8)),
        (3, (1.0, 0.0), (3, 3)),
    ],
)
def test_parts_are_what_is_written(count: int, split: tuple[float, float], ends: tuple[int, int]) -> None:
    assert parts_of(count, split) == ends


# --- digits


def test_digits_are_cut_alike_for_every_seed() -> None:
    data, again = (open_data({"source": "digits", "options": {}}, base=Path(), seed=seed) for seed in (0, 9))
    train, held = everything(data.train), everything(data.validation)
    assert (len(data.train), len(train["label"]), len(held["label"])) == (1437, 1437, 360)
    assert train["image"].shape == (1437, 1, 8, 8) and train["image"].dtype == torch.float32
    assert float(train["image"].min()) == 0 and float(train["image"].max()) == 1
    assert set(held["label"].tolist()) == set(range(10))
    assert data.fields["label"] == Field("int", (), 10, tuple("0123456789"))
    for name, values in everything(again.train, epoch=3).items():
        assert torch.equal(values, train[name])

    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pictures = torch.cat([train["image"], held["image"]]).flatten(1) * 16
    ours = zip(pictures.tolist(), [*train["label"].tolist(), *held["label"].tolist()], strict=True)
    theirs = zip(images.tolist(), labels.tolist(), strict=True)
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    ids = torch.tensor([7, 7, 0])
    assert torch.equal(data.train.batch(0, ids)["image"], train["image"][ids])


def test_digits_without_scikit_learn_name_the_extra() -> None:
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from pathlib import Path; from dlspec.runtime.data import DataError, open_data\n"
        "try: open_data({'source': 'digits', 'options': {}}, base=Path(), seed=0)\n"
        "except DataError as fault: print(fault.message, '|', fault.help)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the digits come with scikit-learn, which is not installed | pip install dlspec[digits]\n"


# --- arrays


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


# --- tasks


ANSWERS = {"copy": list, "reverse": lambda source: source[::-1], "sort": sorted}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_task_asks_for_the_answer_only(kind: str) -> None:
    data = task(kind=kind)
    batch = everything(data.train)
    assert data.fields["tokens"] == Field("int", (10,), 7) == data.fields["targets"]
    for tokens, targets in zip(batch["tokens"].tolist(), batch["targets"].tolist(), strict=True):
        source = tokens[:5]
        answer = ANSWERS[kind](source)
        assert all(0 <= symbol < 6 for symbol in source)
        assert tokens == [*source, 6, *answer[:-1]]
        assert targets == [-100] * 5 + answer


def test_a_task_is_a_pure_function_of_the_seed_and_the_example() -> None:
    data, more, other = task(), task(examples=1000), task(seed=1)
    ids = torch.tensor([199, 3])
    assert torch.equal(data.train.batch(0, ids)["tokens"], everything(data.train, 5)["tokens"][ids])
    assert torch.equal(data.train.batch(0, ids)["tokens"], more.train.batch(2, ids)["tokens"])
    assert not torch.equal(everything(data.train)["tokens"], everything(other.train)["tokens"])
    held = everything(data.validation)["tokens"]
    assert not torch.equal(everything(data.train)["tokens"][:50], held)
    assert data.fingerprint["task"] != other.fingerprint["task"]
    counts = torch.bincount(everything(task(examples=6000).train)["tokens"][:, :5].flatten(), minlength=7)
    assert counts[6] == 0 and bool(((counts[:6] - 5000).abs() < 5 * 5000**0.5).all())


def test_numbers_are_added() -> None:
    data = task(kind="addition", length=4, vocab=11, examples=9000, validation=1000)
    seen = {}
    for split in (data.train, data.validation):
        batch = everything(split)
        for tokens, targets in zip(batch["tokens"].tolist(), batch["targets"].tolist(), strict=True):
            a, b, c, d = tokens[:4]
            answer = [int(digit) for digit in f"{10 * a + b + 10 * c + d:03}"]
            assert tokens == [a, b, c, d, 10, *answer] and targets == [*[-100] * 4, *answer, -100]
            seen[a, b, c, d] = split
    assert len(seen) == 10_000  # each once, and what validation asks for is new


@pytest.mark.parametrize(("length", "vocab"), [(2, 3), (6, 17), (8, 11), (40, 11)])
def test_numbers_of_any_length_and_base_are_added(length: int, vocab: int) -> None:
    base, half = vocab - 1, length // 2
    batch = everything(task(kind="addition", length=length, vocab=vocab, examples=3, validation=1).train)
    for tokens, targets in zip(batch["tokens"].tolist(), batch["targets"].tolist(), strict=True):
        left, right, answer = (
            sum(digit * base**place for place, digit in enumerate(reversed(digits)))
            for digits in (tokens[:half], tokens[half:length], targets[length : length + half + 1])
        )
        assert left + right == answer
        assert targets[length + half + 1 :] == [-100] * (half - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "divide"}, "'divide' is no `kind`"),
        ({"kind": "addition", "length": 3}, "`length` is 3"),
        ({"kind": "addition", "length": 2, "vocab": 4}, "9 different additions, and 250 examples"),
        ({"vocab": 2}, "`vocab` is 2"),
        ({"length": None}, "no `length`"),
        ({"length": 2.5}, "`length` is 2.5"),
    ],
)
def test_what_tasks_refuse(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        task(**options)


# --- does the data fit?


def settings(repo: Path, name: str, **changes: Any) -> Settings:
    return dataclasses.replace(read_settings(json.loads((repo / f"tests/golden/{name}.json").read_text())), **changes)


def data_of(**fields: Field) -> Data:
    class Nothing(Split):
        def __len__(self) -> int:
            return 0

        def batch(self, epoch: int, ids: torch.Tensor) -> dict[str, torch.Tensor]:
            return {}

    return Data(Nothing(), None, fields)


def texts(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.severity, message.text) for message in messages]


IMAGE, LABEL = Field("float", (1, 8, 8)), Field("int", (), 10)


def test_golden_digits_fit(repo: Path) -> None:
    data = open_data({"source": "digits", "options": {}}, base=Path(), seed=0)
    assert check_data(settings(repo, "digits"), data) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"image": Field("float", (1, 28, 28)), "label": LABEL},
            "the input image is float[1, 8, 8], the field image is float[1, 28, 28]: 8 against 28",
        ),
        ({"image": Field("float", (64,)), "label": LABEL}, "3 dims against 1"),
        ({"image": Field("int", (1, 8, 8)), "label": LABEL}, "the field image is int[1, 8, 8]"),
        ({"picture": IMAGE, "label": LABEL}, "the data has no field image, which the input image of the model needs"),
        ({"image": IMAGE}, "the data has no field label, which the loss needs"),
        ({"image": IMAGE, "label": Field("float", ())}, "classes are ints, and the field label is float"),
        ({"image": IMAGE, "label": Field("int", ())}, "the field label has negative numbers"),
        ({"image": IMAGE, "label": Field("int", (), 1)}, "has one class only"),
        (
            {"image": IMAGE, "label": Field("int", (), 9)},
            "the output logits is 10 wide, and the field label has 9 classes (0 to 8)",
        ),
        ({"image": IMAGE, "label": Field("int", (), 11)}, "11 classes (0 to 10)"),
    ],
)
def test_what_does_not_fit_digits(repo: Path, fields: dict[str, Field], message: str) -> None:
    found = texts(check_data(settings(repo, "digits"), data_of(**fields)))
    assert any(severity == "error" and message in text for severity, text in found), found


@pytest.mark.parametrize(
    ("source", "dims", "help"),
    [
        ("images", (1, 8, 9), "write `size = 8`"),
        ("images", (3, 8, 8), "let the model take image: [B, 3, 8, 8]"),
        ("arrays", (1, 8, 9), "let the model take image: [B, 1, 8, 9]"),
    ],
)
def test_how_another_size_is_mended(repo: Path, source: str, dims: tuple[int, ...], help: str) -> None:
    known = settings(repo, "digits", data={"source": source, "options": {}})
    (found,) = check_data(known, data_of(image=Field("float", dims), label=LABEL))
    assert found.help == help


def test_classes_of_a_table_that_are_numbers(repo: Path) -> None:
    table = {"source": "table", "options": {"target": "kind"}}
    known = settings(repo, "digits", data=table)
    assert known.loss.classes is not None
    loss = replace(known.loss, arguments={}, classes=replace(known.loss.classes, field="target"))
    known = replace(known, phases=(replace(known.phases[0], loss=loss),), metrics=None)
    (found,) = check_data(known, data_of(image=IMAGE, target=Field("float", ())))
    assert found.help == "write `classes = 10`"


@pytest.mark.parametrize("kind", ["float32", "int64", "bool"])
@pytest.mark.parametrize("case", ["one 1", "several", "a column"])
def test_labels_with_an_axis_too_many(repo: Path, tmp_path: Path, kind: str, case: str) -> None:
    """What is said to store in place of them fits."""
    numbers = np.arange(40) % 10
    label = {"one 1": np.eye(10)[numbers], "several": np.eye(10)[numbers] + np.eye(10)[0], "a column": numbers[:, None]}
    stored = label[case].clip(0, 1 if case != "a column" else 9).astype(kind)
    np.savez(tmp_path / "a.npz", image=np.zeros((40, 1, 8, 8), np.float32), label=stored)
    known = settings(repo, "digits", data={"source": "arrays", "options": {"file": "a.npz"}})
    found = check_data(known, arrays(tmp_path))
    assert {message.severity for message in found} == {"error"}
    help = found[0].help
    if case == "several":
        assert "`binary_cross_entropy_with_logits`" in help
        return
    said = help.removeprefix("store label")
    cast = ".astype(numpy.int64)" if kind != "int64" else ""
    assert said == (".argmax(1)" if case == "one 1" else f"[:, 0]{cast}")
    better = stored.argmax(1) if case == "one 1" else numbers
    np.savez(tmp_path / "a.npz", image=np.zeros((40, 1, 8, 8), np.float32), label=better)
    assert check_data(known, arrays(tmp_path)) == []


def test_every_misfit_is_told_at_once(repo: Path) -> None:
    found = texts(check_data(settings(repo, "digits"), data_of(image=Field("int", (2, 9)), label=Field("int", (), 3))))
    assert len(found) == 2
    unbound = check_data(settings(repo, "digits", bind={}), data_of(image=IMAGE, label=LABEL))
    assert texts(unbound) == [("error", "nothing in the data is bound to the input image of the model")]


@pytest.mark.parametrize(
    ("window", "vocabulary", "found"),
    [
        (1024, 50_257, []),
        (
            1025,
            50_257,
            ["error: the input tokens is int[T], the field tokens is int[1025]: T is 1,024 at most, and here 1,025"],
        ),
        (64, 50_258, ["error: the output logits is 50,257 wide, and the tokenizer has 50,258 tokens"]),
        (64, 65, ["warning: the output logits is 50,257 wide, and the tokenizer has 65 tokens"]),
    ],
)
def test_windows_and_vocabularies(repo: Path, window: int, vocabulary: int, found: list[str]) -> None:
    from dlspec.runtime.text import CharacterTokenizer

    field = Field("int", (window,), vocabulary)
    data = dataclasses.replace(
        data_of(tokens=field, targets=field), tokenizer=CharacterTokenizer("".join(map(chr, range(vocabulary))))
    )
    assert [f"{one.severity}: {one.text}" for one in check_data(settings(repo, "gpt"), data)] == found


def test_ready_tokens_only_need_room(repo: Path) -> None:
    given_tokens = settings(repo, "gpt", data={"source": "tokens"})
    for classes, count in ((50_000, 0), (50_257, 0), (50_258, 1)):
        field = Field("int", (64,), classes)
        found = texts(check_data(given_tokens, data_of(tokens=field, targets=field)))
        assert len(found) == count, found
    assert "the largest token of the data is 50,257" in found[0][1]


@pytest.mark.parametrize(
    ("dims", "sizes", "problem"),
    [
        ((3, "16 * H", "16 * W"), (3, 32, 48), None),
        ((3, "16 * H", "16 * W"), (3, 33, 48), "no H makes 16 * H equal to 33"),
        (("T", "T"), (5, 5), None),
        (("T", "T"), (5, 6), "T is 5, and here 6"),
        (("T", "2 * T + 1"), (5, 11), None),
        (("T", "2 * T + 1"), (5, 12), "2 * T + 1 is 11, and here 12"),
        (("H // 2", "H"), (6, 13), None),
        (("H // 2", "H"), (6, 14), "H // 2 is 7, and here 6"),
        (("H - 1", "H + W"), (6, 9), None),
        (("H - 1", "H + W", "2 * W"), (6, 9, 5), "2 * W is 4, and here 5"),
    ],
)
def test_symbolic_dims(repo: Path, dims: tuple[Any, ...], sizes: tuple[int, ...], problem: str | None) -> None:
    base = settings(repo, "digits")
    port = dataclasses.replace(base.inputs[0], dims=("B", *dims))
    data = data_of(image=Field("float", sizes), label=LABEL)
    found = texts(check_data(dataclasses.replace(base, inputs=(port,)), data))
    if problem is None:
        assert found == []
    else:
        assert len(found) == 1 and problem in found[0][1]


@pytest.mark.parametrize(
    ("dim", "value", "symbols"),
    [
        (7, 7, ()),
        ("T", 10, ("T",)),
        ("16 * H", 48, ("H",)),
        ("(T + H) // 2 - 1", 5, ("T", "H")),
        ("2 ^ H", 8, ("H",)),
        ("round_up(T, 64)", 64, ("T",)),
        ("-H + T % 4", -1, ("H", "T")),
        ("max(T, 4 * H)", 12, ("T", "H")),
    ],
)
def test_dims_are_computed(dim: int | str, value: int, symbols: tuple[str, ...]) -> None:
    assert evaluate(dim, {"T": 10, "H": 3}) == value
    assert symbols_of(dim) == symbols


@pytest.mark.parametrize("dim", ["__import__('os')", "T.real", "[1]", "T if H else 1", "1.5", "T +"])
def test_a_dim_is_no_program(dim: str) -> None:
    with pytest.raises(RuntimeFault, match="is no dim"):
        evaluate(dim, {"T": 1, "H": 1})


@pytest.mark.parametrize(("ignore", "fits"), [(255, True), (None, False), (9, False), (3, False)])
def test_a_largest_number_that_the_loss_ignores_is_no_class(
    repo: Path, tmp_path: Path, ignore: int | None, fits: bool
) -> None:
    """Masks mark what is of no class by 255."""
    np.savez(tmp_path / "a.npz", image=np.zeros((4, 1, 8, 8), np.float32), label=np.array([0, 9, 255, 4]))
    known = settings(repo, "digits")
    phase = replace(known.phases[0], loss=replace(known.loss, ignore=ignore))
    messages = check_data(replace(known, phases=(phase,)), arrays(tmp_path, split=[1, 0]))
    facts = "the output logits is 10 wide, and the field label has 256 classes (0 to 255)"
    assert [message.text for message in messages] == ([] if fits else [facts])


@pytest.mark.parametrize(
    ("shape", "fits"), [((2, 3), True), ((2, 1, 3), True), ((3, 2), False), ((6,), False), ((), False)]
)
def test_targets_that_are_compared_entry_by_entry_have_the_outputs_shape(
    repo: Path, shape: tuple[int, ...], fits: bool
) -> None:
    """A permuted shape has as many entries, and would be compared in the wrong order."""
    known = settings(repo, "digits")
    measure = replace(known.loss, classes=None, alike=(("logits", "target"),))
    outputs = (replace(known.outputs[0], dims=("B", 2, 3)),)
    phase = replace(known.phases[0], loss=replace(measure, arguments={}))
    known = replace(known, phases=(phase,), outputs=outputs, metrics=None)
    found = check_data(known, data_of(image=IMAGE, target=Field("float", shape)))
    assert (found == []) == fits, texts(found)
