"""Pictures in folders: how they are read, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_files import flowers, pixels, save_picture
from PIL import Image

from dlspec.runtime.data import Data, DataError, Field, open_data
from dlspec.runtime.data.files import FoundFile
from dlspec.runtime.data.images import Decoder, Folder
from dlspec.runtime.picture_file import UnreadablePicture, decode_picture


def images(base: Path, *augmentations: dict[str, Any], **options: Any) -> Data:
    section = {"source": "images", "options": {"folder": "flowers/", **options}, "augmentations": list(augmentations)}
    return open_data(section, base=base, seed=0)


def batch(data: Data, split: str = "train") -> dict[str, torch.Tensor]:
    part = getattr(data, split)
    return part.batch(0, torch.arange(len(part)))


# --- a folder


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    flowers(tmp_path, ("rose", "lily", "aster"), each=4)
    data = images(tmp_path, split=[0.75, 0.25])
    assert data.fields == {
        "image": Field("float", (3, 12, 12)),
        "label": Field("int", (), 3, ("aster", "lily", "rose")),
    }
    assert (len(data.train), len(batch(data, "validation")["label"])) == (9, 3)
    seen = {name: torch.cat([batch(data)[name], batch(data, "validation")[name]]) for name in ("image", "label")}
    assert sorted(seen["label"].tolist()) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    brightest = seen["image"].mean((2, 3)).argmax(1)  # flowers() numbers classes as they are given: rose 0, lily 1
    assert torch.equal(brightest, 2 - seen["label"])


def test_pixels_are_those_of_the_file_from_0_to_1(tmp_path: Path) -> None:
    picture = pixels(3, 5, 7, 3)
    save_picture(tmp_path / "flowers/a/1.png", picture)
    save_picture(tmp_path / "flowers/b/1.png", picture[..., ::-1].copy())
    one = batch(images(tmp_path, split=[1, 0]))["image"]
    wanted = torch.from_numpy(picture.transpose(2, 0, 1)).float() / 255
    assert torch.equal(one.sort(0).values, torch.stack([wanted, wanted.flip(0)]).sort(0).values)


def test_a_validation_folder_has_the_numbers_of_the_first(tmp_path: Path) -> None:
    flowers(tmp_path, ("lily", "rose"), each=3)
    flowers(tmp_path, ("rose",), each=2, name="held")
    data = images(tmp_path, validation="held")
    assert batch(data, "validation")["label"].tolist() == [1, 1] and len(data.train) == 6
    assert sorted(data.fingerprint) == ["flowers/lily", "flowers/rose", "held/rose"]
    flowers(tmp_path, ("rosé",), each=1, name="held")
    with pytest.raises(DataError, match="held has a folder rosé, and flowers has no class of that name") as fault:
        images(tmp_path, validation="held")
    assert fault.value.help == "did you mean rose?"


def test_fingerprints_say_what_class_was_changed(tmp_path: Path) -> None:
    flowers(tmp_path)
    before = images(tmp_path).fingerprint
    assert before["flowers/rose"]["size"] == sum(p.stat().st_size for p in (tmp_path / "flowers/rose").iterdir())
    (tmp_path / "flowers/rose/00.png").rename(tmp_path / "flowers/rose/99.png")
    after = images(tmp_path).fingerprint
    assert after["flowers/lily"] == before["flowers/lily"] and after["flowers/rose"] != before["flowers/rose"]


def test_what_systems_hide_is_no_picture(tmp_path: Path) -> None:
    flowers(tmp_path)
    before = images(tmp_path).fingerprint
    for place in (".DS_Store", "rose/.directory"):
        (tmp_path / "flowers" / place).write_bytes(b"x")
    assert images(tmp_path).fingerprint == before


def test_pictures_are_scaled_and_the_middle_is_cut(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    save_picture(tmp_path / "flowers/a/1.png", wide)
    save_picture(tmp_path / "flowers/b/1.png", wide.transpose(1, 0, 2).copy())
    image = batch(images(tmp_path, size=[10, 10], split=[1, 0]))["image"]
    assert torch.equal(image, torch.ones(2, 3, 10, 10))
    half = batch(images(tmp_path, size=[5, 10], split=[1, 0]))["image"]
    assert half.shape == (2, 3, 5, 10)


def test_pictures_of_several_sizes_need_one(tmp_path: Path) -> None:
    flowers(tmp_path)
    save_picture(tmp_path / "flowers/rose/big.png", pixels(0, 20, 30, 3))
    with pytest.raises(DataError, match="the pictures of image differ in size") as fault:
        images(tmp_path)
    assert "random_resized_crop(224)" in fault.value.help
    crop = {"word": "random_resized_crop", "options": {"size": [8, 9]}}
    levelled = images(tmp_path, crop, split=[1, 0])
    assert levelled.fields["image"].dims == (3, 8, 9) and batch(levelled)["image"].shape == (17, 3, 8, 9)
    apart = [levelled.train.batch(0, torch.tensor([row]))["image"][0] for row in range(17)]
    assert torch.equal(batch(levelled)["image"], torch.stack(apart)), "company makes no difference"
    with pytest.raises(DataError, match="`center_crop` cuts 13 pixels, and the smallest picture is 12 high"):
        images(tmp_path, {"word": "center_crop", "options": {"size": [13, 13]}})
    with pytest.raises(DataError, match="`mixup` mixes pictures of one size"):
        images(tmp_path, {"word": "mixup", "options": {"alpha": 0.2}})


def test_memory_has_a_bound(tmp_path: Path) -> None:
    flowers(tmp_path, each=4, size=(4, 4))
    files = tuple(FoundFile(p.name, p) for p in sorted((tmp_path / "flowers/rose").iterdir()))
    folder = Folder("", (), files, np.zeros(4, np.int64), np.zeros((4, 2), np.int64))
    decoder = Decoder(folder, 3, None, room=2 * 3 * 4 * 4)
    first = decoder.pictures([3, 1, 2, 1])
    assert len(decoder._kept) == 2
    assert all(torch.equal(a, b) for a, b in zip(first, decoder.pictures([3, 1, 2, 1]), strict=True))


# --- a file


def decoded(path: Path, channels: int = 3) -> np.ndarray:
    return decode_picture(path.read_bytes(), path.name, channels)


def test_a_picture_stands_as_the_camera_was_held(tmp_path: Path) -> None:
    picture = pixels(0, 4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the right when it is looked at
    save_picture(tmp_path / "a.png", picture, exif=exif)
    assert np.array_equal(decoded(tmp_path / "a.png"), np.rot90(picture, -1).transpose(2, 0, 1))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Tag data larger than file")
@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_whatever_is_wrong_with_a_file_is_said_of_it(tmp_path: Path, ending: str) -> None:
    """Bytes changed here and there: a picture all the same, or one that cannot be read, and never another fault."""
    exif = Image.Exif()
    exif[0x0112] = 6
    save_picture(tmp_path / f"a.{ending}", pixels(0, 24, 20, 3), exif=exif)
    whole, draw = (tmp_path / f"a.{ending}").read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for place in draw.integers(0, min(len(whole), int(draw.choice([60, 400]))), 3):
            content[place] = draw.integers(256)
        try:
            decode_picture(bytes(content), "a", 3, (8, 8))
        except UnreadablePicture:
            refused += 1
    assert refused > 20


def test_every_kind_of_colour(tmp_path: Path) -> None:
    gray = pixels(0, 4, 6)
    save_picture(tmp_path / "gray.png", gray)
    assert np.array_equal(decoded(tmp_path / "gray.png", 1), gray[None])
    assert np.array_equal(decoded(tmp_path / "gray.png"), np.stack([gray] * 3))
    Image.fromarray((gray.astype(np.uint16) << 8) + 7).save(tmp_path / "deep.png")
    assert np.array_equal(decoded(tmp_path / "deep.png", 1), gray[None]), "the upper 8 bits of 16"
    few = (gray % 4 * 60).astype(np.uint8)
    Image.fromarray(np.stack([few, few, few], 2)).quantize(4).save(tmp_path / "palette.png")
    assert np.array_equal(decoded(tmp_path / "palette.png"), np.stack([few] * 3))
    Image.fromarray(gray > 127).save(tmp_path / "bits.png")
    assert np.array_equal(decoded(tmp_path / "bits.png", 1), (gray[None] > 127) * np.uint8(255))
    clear = np.dstack([pixels(1, 4, 6, 3), np.zeros((4, 6), np.uint8)])
    clear[:, :3, 3] = 255
    save_picture(tmp_path / "clear.png", clear)
    laid = np.where(clear[..., 3:] == 255, clear[..., :3], 255)
    assert np.array_equal(decoded(tmp_path / "clear.png"), laid.transpose(2, 0, 1)), "what is transparent is white"
    save_picture(tmp_path / "a.jpg", np.full((8, 8, 3), 100, np.uint8))
    assert np.array_equal(decoded(tmp_path / "a.jpg", 1), np.full((1, 8, 8), 100))
    Image.fromarray(gray.astype(np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(UnreadablePicture, match=r"a\.tiff holds floats"):
        decoded(tmp_path / "a.tiff")


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_told_before_training(tmp_path: Path, ending: str, kept: float) -> None:
    flowers(tmp_path)
    path = tmp_path / f"flowers/rose/bad.{ending}"
    save_picture(path, pixels(0, 64, 64, 3))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError) as fault:
        images(tmp_path, size=[8, 8])
    assert f"flowers/rose/bad.{ending}" in fault.value.message
    assert any(said in fault.value.message for said in ("is empty", "damaged or cut off", "is no picture"))


@pytest.mark.parametrize(
    ("place", "message", "help"),
    [
        ("flowers/rose/notes.txt", "flowers/rose/notes.txt is no picture", "take it out"),
        ("flowers/rose/notes.png", "flowers/rose/notes.png is no picture that can be read", "replace it"),
        ("flowers/rose/old/1.png", "flowers/rose/old is a folder inside a class", "put its pictures into the class"),
        ("flowers/1.png", "flowers/1.png lies beside the folders of classes", "put it into the folder of its class"),
    ],
)
def test_what_is_no_picture_of_a_class(tmp_path: Path, place: str, message: str, help: str) -> None:
    flowers(tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"not a picture")
    with pytest.raises(DataError) as fault:
        images(tmp_path)
    assert message in fault.value.message and help in fault.value.help


def test_folders_that_are_not_as_they_should_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder flowers"):
        images(tmp_path)
    (tmp_path / "flowers").mkdir()
    with pytest.raises(DataError, match="flowers has no folders") as fault:
        images(tmp_path)
    assert "flowers/rose/1.jpg" in fault.value.help
    flowers(tmp_path)
    (tmp_path / "flowers/tulip").mkdir()
    with pytest.raises(DataError, match="the class tulip has no pictures: flowers/tulip is empty"):
        images(tmp_path)
    (tmp_path / "flowers/tulip").rmdir()
    with pytest.raises(DataError, match="`classes` is 3, and flowers has 2 folders: lily, rose") as fault:
        images(tmp_path, classes=3)
    assert "classes = 2" in fault.value.help
    with pytest.raises(DataError, match="none is left for training"):
        images(tmp_path, split=[0.01, 0.9])
    (tmp_path / "one").write_text("x")
    with pytest.raises(DataError, match="one is a file, not a folder"):
        open_data({"source": "images", "options": {"folder": "one"}}, base=tmp_path, seed=0)


def test_without_pillow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="needs Pillow") as fault:
        images(tmp_path)
    assert 'pip install "dlspec[images]"' in fault.value.help
