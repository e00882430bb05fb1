"""Examples out of files, and what is said of them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from picture_files import save_picture

from dlspec.runtime.data import open_data
from dlspec.runtime.errors import Refused
from dlspec.runtime.metadata import Metadata, class_names, picture_size, read_metadata, write_metadata
from dlspec.runtime.picture_steps import Preparation, preparation_of
from dlspec.runtime.predict import AT_ONCE, predict, read_examples
from dlspec.runtime.session import Arrays, Session
from dlspec.runtime.settings import Port, read_settings
from dlspec.runtime.text import ByteTokenizer

IMAGE = Port("image", "float", ("B", 1, 2, 3))
ONE = Metadata("", "", (IMAGE,), (Port("logits", "float", ("B", 3)),), classes={"logits": ("cat", "dog", "owl")})
TWO = Metadata(
    "",
    "",
    (Port("x", "float", ("B", "T")), Port("y", "int", ("B", "T"))),
    (Port("z", "float", ("B", "T")),),
    limits={"T": 4},
)
PIXELS = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)


class Sums(Session):
    """Answers with sums of what it is given, and remembers how much that was."""

    def __init__(self, metadata: Metadata) -> None:
        super().__init__(metadata)
        self.batches: list[int] = []

    def run(self, feeds: Mapping[str, NDArray]) -> Arrays:
        self.batches.append(len(next(iter(feeds.values()))))
        if "image" in feeds:
            return {"logits": feeds["image"].sum(axis=(1, 2)) / 10}
        return {"z": feeds["x"] + feeds["y"]}


def test_classes_come_with_their_probability() -> None:
    said = list(predict(Sums(ONE), {"image": PIXELS}))
    scores = [math.exp((a + b) / 10) for a, b in ((0, 3), (1, 4), (2, 5))]
    assert said[0] == {"logits": {"class": "owl", "index": 2, "probability": pytest.approx(scores[2] / sum(scores))}}
    assert len(said) == 2
    json.dumps(said)


def test_other_outputs_come_as_numbers() -> None:
    said = list(predict(Sums(TWO), {"x": np.ones((2, 3), np.float32), "y": np.arange(6).reshape(2, 3)}))
    assert said == [{"z": [1, 2, 3]}, {"z": [4, 5, 6]}]


def test_many_examples_are_computed_in_parts() -> None:
    session = Sums(ONE)
    assert len(list(predict(session, {"image": np.zeros((AT_ONCE + 5, 1, 2, 3), np.float32)}))) == AT_ONCE + 5
    assert session.batches == [AT_ONCE, 5]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".json", ".JSON"])
def test_every_kind_of_file_says_the_same(tmp_path: Path, suffix: str, single: bool) -> None:
    path = tmp_path / f"in{suffix}"
    given = PIXELS[0] if single else PIXELS
    if suffix == ".npy":
        np.save(path, given.astype(np.float64))
    elif suffix == ".npz":
        np.savez(path, arr_0=given)
    else:
        path.write_text(json.dumps(given.tolist() if suffix == ".json" else {"image": given.astype(int).tolist()}))
    read = read_examples(path, ONE)["image"]
    assert read.dtype == np.float32
    assert np.array_equal(read, PIXELS[:1] if single else PIXELS)


def test_several_inputs_come_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": [1, 2.5], "y": [3, 4]}')
    np.savez(tmp_path / "a.npz", x=np.array([[1, 2.5]]), y=np.array([[3, 4]], np.uint8))
    for name in ("a.json", "a.npz"):
        read = read_examples(tmp_path / name, TWO)
        assert read["x"].tolist() == [[1, 2.5]] and read["y"].tolist() == [[3, 4]]
        assert read["y"].dtype == np.int64


@pytest.mark.parametrize(
    ("name", "content", "metadata", "message"),
    [
        ("a.json", "{", ONE, "a.json is no JSON"),
        ("a.json", "[[1, 2], [3]]", ONE, "the rows of image in a.json differ in length"),
        ("a.json", '"cat"', ONE, r"image in a.json holds what is no number: image \[B, 1, 2, 3\]"),
        ("a.json", "[null]", ONE, "holds what is no number"),
        ("a.json", "[]", ONE, "a.json holds no example"),
        ("a.json", '{"x": [], "y": []}', TWO, "a.json holds no example"),
        ("a.json", "[1, 2]", ONE, r"was given an array of shape \[2\]"),
        ("a.json", "[[[1, 2, 3]]]", ONE, r"was given \[1, 1, 3\] for an example: 1 where it takes 2"),
        ("a.json", '{"picture": []}', ONE, "the model has no input picture"),
        ("a.json", '{"x": [[1]]}', TWO, r"the input y int\[B, T\] is missing"),
        ("a.json", '{"x": [[1]], "y": [[1.5]]}', TWO, r"the input y int\[B, T\] was given float64"),
        ("a.json", '{"x": [[1]], "y": [[1], [2]]}', TWO, "was given 2 where B is 1"),
        ("a.json", '{"x": [[1]], "y": [[1, 2]]}', TWO, "was given 2 where T is 1"),
        ("a.json", '{"x": [[1,1,1,1,1]], "y": [[1,1,1,1,1]]}', TWO, "was given 5 where T is 4 at most"),
        ("a.json", "[1]", TWO, "the model has 2 inputs: x"),
        ("a.npy", "no", ONE, "a.npy cannot be read as arrays"),
        ("a.npz", "no", ONE, "a.npz cannot be read as arrays"),
        ("a.txt", "no", ONE, "a.txt is no kind of input"),
        ("a.png", "no", TWO, "the model has 2 inputs"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, content: str, metadata: Metadata, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=message):
        read_examples(tmp_path / name, metadata)


WHOLE = Metadata("", "", (Port("ids", "int", ("B",)),), (Port("z", "float", ("B",)),))
REAL = replace(WHOLE, inputs=(Port("x", "float", ("B",)),))
END = "and whole numbers end at 9,223,372,036,854,775,807"


@pytest.mark.parametrize(
    ("content", "metadata", "message"),
    [
        ("9" * 4301, REAL, "a.json holds a whole number of more than 4,300 digits"),
        ("9" * 4300, REAL, "x in a.json holds a number that is not finite as float32, in example 1"),
        ("0, 1e999", REAL, "x in a.json holds a number that is not finite as float32, in example 2"),
        ("0, 1e39", REAL, "x in a.json holds a number that is not finite as float32, in example 2"),
        ("NaN", REAL, "x in a.json holds a number that is not finite as float32, in example 1"),
        (str(2**63), WHOLE, f"ids in a.json holds 9223372036854775808, {END}"),
        (f"-1, {2**63}", WHOLE, f"ids in a.json holds 9223372036854775808, {END}"),
        (str(2**64), WHOLE, f"ids in a.json holds 18446744073709551616, {END}"),
        ("9" * 4300, WHOLE, f"ids in a.json holds {'9' * 37}..., {END}"),
        (
            str(-(2**63) - 1),
            WHOLE,
            "ids in a.json holds -9223372036854775809, and whole numbers begin at -9,223,372,036,854,775,808",
        ),
        ("1e999", WHOLE, "the input ids int[B] was given float64"),
        ("[" * 100 + "1" + "]" * 100, REAL, "x in a.json has too many brackets inside brackets"),
        ("[" * 99_999, REAL, "a.json has too many brackets inside brackets"),
        ('{"x":' * 99_999, REAL, "a.json has too many brackets inside brackets"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_numbers_without_end_and_brackets_without_end(
    tmp_path: Path, content: str, metadata: Metadata, message: str
) -> None:
    (tmp_path / "a.json").write_text(f"[{content}]")
    with pytest.raises(Refused) as refused:
        read_examples(tmp_path / "a.json", metadata)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("content", "metadata", "value"),
    [
        (str(2**63 - 1), WHOLE, 2**63 - 1),
        (str(-(2**63)), WHOLE, -(2**63)),
        (str(2**64), REAL, 2.0**64),
        (f"{2**64}, 1.5", REAL, 2.0**64),
        ("3e38", REAL, float(np.float32(3e38))),
    ],
)
def test_large_numbers_are_what_they_are(tmp_path: Path, content: str, metadata: Metadata, value: float) -> None:
    (tmp_path / "a.json").write_text(f"[{content}]")
    (found,) = read_examples(tmp_path / "a.json", metadata).values()
    assert found[0] == value


@pytest.mark.parametrize(("number", "refused"), [(2**63 - 1, False), (2**63, True), (2**64 - 1, True)])
def test_uint64_is_no_negative_number(tmp_path: Path, number: int, refused: bool) -> None:
    np.save(tmp_path / "a.npy", np.array([1, number], np.uint64))
    if not refused:
        assert read_examples(tmp_path / "a.npy", WHOLE)["ids"].tolist() == [1, number]
        return
    with pytest.raises(Refused) as fault:
        read_examples(tmp_path / "a.npy", WHOLE)
    assert fault.value.message == f"the input ids int[B] was given {number}, {END}"
    few = replace(WHOLE, inputs=(Port("ids", "int", ("B",), 40),))
    with pytest.raises(Refused) as fault:
        read_examples(tmp_path / "a.npy", few)
    assert fault.value.message == f"the input ids int[B] was given {number:,}, and it takes 0 to 39"


ROWS = Metadata("", "", (Port("features", "float", ("B", 3)),), (Port("logits", "float", ("B", 2)),))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "length,width,spots\n1,9,2\n",
            "a.csv is no kind of input: give .npy, .npz, .json, a picture or lines",
        ),
        ("a.json", '[{"length": 1, "width": 9, "spots": 2}]', "features in a.json holds what is no number"),
        ("a.json", '{"length": 1, "width": 9, "spots": 2}', "a.json has no features, which the model takes"),
    ],
)
def test_rows_with_names_are_told_the_form_without(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Refused, match=message) as fault:
        read_examples(tmp_path / name, ROWS)
    form = (
        "Write a .json with a list for each row, [[1, 2, 3]]: numbers in the order of `features` in training, no names."
    )
    assert fault.value.help == form
    (tmp_path / "b.json").write_text("[[1, 9, 2]]")
    assert read_examples(tmp_path / "b.json", ROWS)["features"].tolist() == [[1, 9, 2]]


def test_a_row_that_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[[1, 9]]")
    with pytest.raises(Refused, match=r"^a row has 2 numbers, and features takes 3$"):
        read_examples(tmp_path / "a.json", ROWS)


def test_channels_come_first(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 1), np.uint8))
    with pytest.raises(Refused, match=r"was given \[2, 3, 1\] for an example: 2 where it takes 1") as fault:
        read_examples(tmp_path / "a.npy", ONE)
    assert fault.value.help == "Channels come first: numpy.moveaxis(array, -1, -3), scaled as in training."
    np.save(tmp_path / "a.npy", np.zeros((1, 3, 2), np.uint8))
    with pytest.raises(Refused) as fault:
        read_examples(tmp_path / "a.npy", ONE)
    assert not fault.value.help


@pytest.mark.parametrize(
    ("channels", "shape", "help", "mend"),
    [
        (1, (2, 3), "One example is [1, 2, 3], its channel first: a pair of brackets around all its rows", [None]),
        (
            1,
            (4, 2, 3),
            "Several are [N, 1, 2, 3], channels first: a pair of brackets around the rows of each",
            [0, None],
        ),
        (3, (2, 3), "One example is [3, 2, 3], a channel after the other: a gray one has three alike", [3]),
        (1, (6,), "One example is [1, 2, 3], several are [N, 1, 2, 3]: a pair of brackets for each axis.", []),
    ],
)
def test_a_picture_without_channels_is_told_where_they_go(
    tmp_path: Path, channels: int, shape: tuple[int, ...], help: str, mend: list[int | None]
) -> None:
    taken = replace(ONE, inputs=(Port("image", "float", ("B", channels, 2, 3)),))
    pixels = np.arange(math.prod(shape)).reshape(shape)
    (tmp_path / "a.json").write_text(json.dumps(pixels.tolist()))
    with pytest.raises(Refused, match="was given") as fault:
        read_examples(tmp_path / "a.json", taken)
    assert fault.value.help.startswith(help)
    ways = {(None,): lambda a: a[None], (0, None): lambda a: a[:, None], (3,): lambda a: np.stack([a] * 3)}
    if mend:
        (tmp_path / "b.json").write_text(json.dumps(ways[tuple(mend)](pixels).tolist()))
        assert read_examples(tmp_path / "b.json", taken)["image"].shape[1:] == (channels, 2, 3)


def test_no_example_is_told_with_the_form_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(Refused, match=r"^a.json holds no example$") as fault:
        read_examples(tmp_path / "a.json", ONE)
    assert fault.value.help == "One example is [1, 2, 3], several are [N, 1, 2, 3]: a pair of brackets for each axis."


def test_files_that_hold_no_example(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 1, 2, 3)))
    with pytest.raises(Refused, match=r"a.npy holds no example"):
        read_examples(tmp_path / "a.npy", ONE)
    with pytest.raises(Refused, match="there is no file"):
        read_examples(tmp_path / "b.npy", ONE)
    np.save(tmp_path / "a.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(Refused, match="cannot be read as arrays of numbers"):
        read_examples(tmp_path / "a.npy", ONE)


def test_text_is_for_generate(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ROMEO:")
    language = Metadata("", "", (Port("tokens", "int", ("B", "T")),), (), tokenizer=ByteTokenizer())
    with pytest.raises(Refused) as fault:
        read_examples(tmp_path / "a.txt", language)
    assert "dlspec generate" in fault.value.help


def test_a_picture_without_pillow_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(Refused, match="needs Pillow") as fault:
        read_examples(tmp_path / "a.png", ONE)
    assert 'pip install "dlspec[images]"' in fault.value.help


def test_a_picture_becomes_channels_of_0_to_1(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    colours = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
    image.fromarray(colours).save(tmp_path / "a.png")
    colour = Metadata("", "", (Port("image", "float", ("B", 3, "H", "W")),), ())
    read = read_examples(tmp_path / "a.png", colour)["image"]
    assert np.array_equal(read, colours.transpose(2, 0, 1)[None].astype(np.float32) / 255)


STEPS = (("cover", {"size": [4, 6]}), ("center_crop", {"size": [2, 3]}), ("normalize", {"mean": [0.5], "std": [0.25]}))
PREPARED = replace(ONE, pictures=Preparation((8, 12), STEPS))


def test_a_picture_is_prepared_as_those_that_the_model_was_measured_on(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 20), np.uint8)
    save_picture(tmp_path / "a.png", pixels)
    read = read_examples(tmp_path / "a.png", PREPARED)["image"]
    section = {"folder": "b", "size": [8, 12], "colour": "gray", "split": [1, 0]}
    for name in ("1.png", "2.png"):
        save_picture(tmp_path / "b" / "x" / name, pixels)
    flow = [
        {"word": "random_resized_crop", "options": {"size": [2, 3]}},
        {"word": "normalize", "options": {"mean": [0.5], "std": [0.25]}},
    ]
    data = open_data({"source": "images", "options": section, "augmentations": flow}, base=tmp_path, seed=0)
    measured = data.train.in_evaluation().batch(0, torch.tensor([0]))["image"]
    steps = preparation_of({"source": "images", "options": section, "augmentations": flow})
    assert steps is not None
    again = read_examples(tmp_path / "a.png", replace(ONE, pictures=steps))["image"]
    assert np.array_equal(again, measured.numpy())
    assert read.shape == again.shape and read.dtype == np.float32


def test_what_is_done_to_pictures_is_carried_by_a_file(tmp_path: Path) -> None:
    entries = write_metadata(PREPARED)
    carried = read_metadata(entries, "a.onnx")
    assert carried.pictures == PREPARED.pictures
    save_picture(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (9, 20), np.uint8))
    first, second = (read_examples(tmp_path / "a.png", one)["image"] for one in (PREPARED, carried))
    assert np.array_equal(first, second)
    assert "dlspec.pictures" not in write_metadata(ONE)
    entries["dlspec.pictures"] = entries["dlspec.pictures"].replace("cover", "hover")
    with pytest.raises(Refused, match=r"what a\.onnx says about itself is damaged"):
        read_metadata(entries, "a.onnx")


def test_arrays_are_what_the_model_takes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS)
    assert np.array_equal(read_examples(tmp_path / "a.npy", PREPARED)["image"], PIXELS)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pictures_of_bytes_are_refused_as_in_training(tmp_path: Path, name: str) -> None:
    shades = (PIXELS * 20).astype(np.uint8)
    if name == "a.npy":
        np.save(tmp_path / name, shades)
    else:
        np.savez(tmp_path / name, image=shades)
    with pytest.raises(Refused, match=rf"^image in {name} is uint8, and the model takes image \[B, 1, 2, 3\]$") as told:
        read_examples(tmp_path / name, ONE)
    assert told.value.help == "Store image as float32; pictures of bytes divided by 255."
    with pytest.raises(Refused) as told:
        read_examples(tmp_path / name, PREPARED)
    assert told.value.help.endswith("divided by 255, then normalized as in training.")


CUT = [{"word": "random_crop", "options": {"size": [8, 8], "pad": 2}}, {"word": "random_flip", "options": {}}]
LEVELLED = [{"word": "resize", "options": {"size": [10, 10]}}, *CUT]


def test_a_picture_of_another_size_is_not_cropped_in_silence(tmp_path: Path) -> None:
    for side in (4, 8, 16):
        save_picture(tmp_path / f"{side}.png", np.zeros((side, side + 1), np.uint8))
    eight = Port("image", "float", ("B", 1, 8, 8))
    steps = preparation_of({"source": "idx", "options": {}, "augmentations": CUT}, (8, 9))
    cut = replace(ONE, inputs=(eight,), pictures=steps)
    assert read_examples(tmp_path / "8.png", cut)["image"].shape == (1, 1, 8, 8)
    for side in (4, 16):
        message = rf"{side}\.png is {side} x {side + 1} pixels, and the model learned from pictures of 8 x 9"
        with pytest.raises(Refused, match=message) as told:
            read_examples(tmp_path / f"{side}.png", cut)
        assert told.value.help == "Scale it to 8 x 9."
    carried = read_metadata(write_metadata(cut), "a.onnx")
    assert carried.pictures == cut.pictures
    of_before = {k: v.replace(', "given": [8, 9]', "") for k, v in write_metadata(cut).items()}
    assert read_metadata(of_before, "a.onnx").pictures == replace(steps or Preparation(None, ()), given=None)


def test_a_picture_that_is_scaled_may_have_any_size(tmp_path: Path) -> None:
    """Where the flow scales, or `size` of a folder of pictures does; and where the model takes any."""
    scaled = {"source": "idx", "options": {}, "augmentations": LEVELLED}
    folder = {"source": "images", "options": {"size": [8, 9]}, "augmentations": CUT}
    neither = {"source": "idx", "options": {}, "augmentations": CUT[1:]}
    for section in (scaled, folder, neither):
        steps = preparation_of(section, (8, 9))
        assert steps is None or steps.given is None


def test_the_size_of_pictures_as_they_are_read(tmp_path: Path) -> None:
    digits = {"source": "digits", "options": {}, "augmentations": [{"word": "resize", "options": {"size": [16, 12]}}]}
    data = open_data(digits, base=tmp_path, seed=0)
    inputs = (Port("picture", "float", ("B", 1, 16, 12)),)
    options = cast(Any, SimpleNamespace(inputs=inputs, bind={"picture": "image"}))
    assert data.fields["image"].dims == (1, 16, 12) and picture_size(options, data) == (8, 8)
    for name, side in (("1.png", 8), ("2.png", 9)):
        save_picture(tmp_path / "b" / "x" / name, np.zeros((side, side), np.uint8))
    several = {"source": "images", "options": {"folder": "b", "split": [1, 0]}, "augmentations": CUT[:1]}
    assert picture_size(options, open_data(several, base=tmp_path, seed=0)) is None


def test_what_is_told_of_a_small_picture_is_its_own_size(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    padded = (("pad", {"pixels": 1}), ("center_crop", {"size": [6, 6]}))
    with pytest.raises(Refused, match=r"a\.png is 2 x 2 pixels, and the model sees 4 x 4 of them"):
        read_examples(tmp_path / "a.png", replace(ONE, pictures=Preparation(None, padded)))


def test_a_picture_that_is_smaller_than_what_the_model_sees(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    small = replace(ONE, pictures=Preparation(None, (("center_crop", {"size": [2, 3]}),)))
    with pytest.raises(Refused, match=r"a\.png is 2 x 2 pixels, and the model sees 2 x 3 of them"):
        read_examples(tmp_path / "a.png", small)


def test_a_picture_for_a_model_of_rows(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(Refused, match=r"a.png is a picture, and the model takes row \[B, 4\]"):
        read_examples(tmp_path / "a.png", Metadata("", "", (Port("row", "float", ("B", 4)),), ()))


def test_whose_classes_an_output_scores(repo: Path) -> None:
    from dlspec.runtime.data import Field

    def of(name: str, **changes: Any) -> Any:
        return read_settings({**json.loads((repo / f"tests/golden/{name}.json").read_text()), **changes})

    digits, gpt = of("digits"), of("gpt")
    assert class_names(digits, {"label": Field("int", (), 2, ("no", "yes"))}) == {"logits": ("no", "yes")}
    assert class_names(digits, {"label": Field("int", (), 3)}) == {"logits": ("0", "1", "2")}
    assert class_names(gpt, {"targets": Field("int", (8,), 65)}) == {}
