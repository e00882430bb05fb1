"""Specs of pictures from files to a trained model, a released file and what it says of a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_files import flowers, save_picture, write_idx, write_mnist
from runtime_cases import metrics, same_weights

from dlspec.api.compilation import program_of
from dlspec.cli.main import main
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime import resume, sessions, train
from dlspec.runtime.bindings import counted
from dlspec.runtime.data import open_data
from dlspec.runtime.feed import Feed
from dlspec.runtime.order import Order


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(repo: Path, name: str, *changes: tuple[str, str]) -> str:
    """A shipped spec, smaller; the name of the copy."""
    text = (repo / f"specs/{name}.dlspec").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    Path(f"{name}.dlspec").write_text(text)
    return f"{name}.dlspec"


def run(*words: str) -> None:
    assert main([*words, "--quiet"]) == 0


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_pictures_in_idx_files(repo: Path, place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Trained until it knows them; the file that is exported says the same of a picture as the run does."""
    write_mnist(place, 200)
    write_mnist(place, 40, prefix="t10k")
    file = spec(repo, name)
    run("check", "--data", file)
    run("train", file, "--run", "run", "--set", "train.epochs=12", "--set", "train.batch=20")
    measured = answer(capsys, "evaluate", "run", "--split", "train")
    assert measured["values"]["accuracy"] > 0.9
    run("export", "run", "-o", "out")
    shown = np.zeros((28, 28), np.uint8)
    shown[8:10] = 180
    save_picture(Path("four.png"), shown)
    said = [answer(capsys, "predict", it, "--input", "four.png")["outputs"][0] for it in ("run", f"out/{name}.onnx")]
    assert said[0]["logits"]["class"] == said[1]["logits"]["class"] == "4"
    assert said[0]["logits"]["probability"] == pytest.approx(said[1]["logits"]["probability"], abs=1e-4)


SMALL = (("imagenet/", "flowers/"), ("size = 256", "size = 40"))


@pytest.mark.slow
def test_a_resnet_on_folders(repo: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flowers(place, each=10, size=(40, 50))
    file = spec(
        repo,
        "resnet18",
        *SMALL,
        ("random_resized_crop(224)", "random_resized_crop(32)"),
        ("top = 5", "top = 2"),
        ("step_decay(0.1, at = [30 * epoch, 60 * epoch])", "constant"),
    )
    for key, wide in (("64", "8"), ("128", "8"), ("256", "8"), ("512", "8")):
        Path(file).write_text(Path(file).read_text().replace(f"Basic({key}", f"Basic({wide}"))
    options = ["classes=2", "train.batch=6", "train.epochs=30", "train.optimizer.lr=0.02"]
    run("train", file, "--run", "run", *(word for one in options for word in ("--set", one)))
    assert answer(capsys, "evaluate", "run", "--split", "train")["values"]["accuracy"] > 0.8
    said = answer(capsys, "predict", "run", "--input", "flowers/rose/00.png")["outputs"][0]["logits"]
    assert said["class"] in ("lily", "rose"), "classes have the names of their folders"


def test_a_transformer_learns_from_mixed_labels(repo: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flowers(place, ("a", "b", "c", "d", "e", "f"), each=6, size=(40, 40))
    file = spec(
        repo,
        "vit",
        *SMALL,
        ("-> mixup(0.2)", "-> mixup(0.2) -> cutmix"),
        ("precision = bf16", "validate  = every(1 * epoch)"),
        ("warmup(10_000) -> cosine(to = 0)", "constant"),
        ("batch     = 4096", "batch     = 8\n  accumulate = 2"),
    )
    sizes = {"classes": 6, "side": 32, "patch": 16, "dim": 16, "heads": 2, "depth": 2}
    options = ["train.epochs=3", *(f"{name}={value}" for name, value in sizes.items())]
    run("train", file, "--run", "run", *(word for one in options for word in ("--set", one)))
    records = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert all(0 <= one["accuracy"] <= 1 for one in records if one["split"] == "validation")
    assert all(one["loss"] > 0 for one in records)


def test_pictures_and_masks_of_arrays(repo: Path, place: Path) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 21, (12, 16, 16))
    label[:, 0] = 255
    image = np.repeat(label[:, None] / 255, 3, 1).astype(np.float32)
    np.savez("voc.npz", image=image, label=label)
    widths = [
        (f"({old}", f"({new}") for old, new in (("1024", "8"), ("512", "8"), ("256", "4"), ("128", "4"), ("64", "4"))
    ]
    file = spec(repo, "unet", *widths, ("precision = bf16", ""))
    run("train", file, "--set", "train.batch=4", "--set", "train.epochs=1")
    section = {"source": "arrays", "options": {"file": "voc.npz"}, "augmentations": [{"word": "random_flip"}]}
    data = open_data(section, base=place, seed=0)
    batch = data.train.batch(0, torch.arange(len(data.train)))
    assert torch.equal((batch["image"][:, 0] * 255).round().long(), batch["label"]), "masks lie on their pictures"
    plain = data.train.in_evaluation().batch(0, torch.arange(len(data.train)))
    flipped = (batch["label"] != plain["label"]).flatten(1).any(1)
    assert flipped.any() and not flipped.all()


EVERYTHING = """dlspec 1
model Net: (image: [B, 3, 16, 16]) -> (logits: [B, 2]) {
  flatten -> Linear(8) -> relu -> Dropout(0.1)
  head: Linear(2)
}

train Net {
  data      = images("flowers/") -> random_resized_crop(20) -> random_crop(16, pad = 2) -> random_flip
    -> random_rotation(10) -> random_affine(degrees = 5, translate = 0.1, scale = [0.9, 1.1], shear = 3)
    -> color_jitter(brightness = 0.2, contrast = 0.2, saturation = 0.2, hue = 0.1) -> random_grayscale(0.3)
    -> random_blur(0.5) -> random_erasing -> normalize(imagenet) -> mixup(0.3) -> cutmix
  loss      = cross_entropy(logits, data.label, smoothing = 0.1)
  metrics   = [accuracy(logits, data.label)]
  optimizer = AdamW(lr = 1e-2)
  epochs    = 4
  batch     = 6
  validate  = every(2)
}
"""

VIEWS = """dlspec 1
model Net: (view1: [B, 3, 8, 8], view2: [B, 3, 8, 8]) -> (a: [B, 8], b: [B, 8]) {
  view1 -> embed: { flatten -> Linear(8) } as a
  view2 -> embed as b
}

train Net {
  data      = images("flowers/", size = 12)
    -> two_views(random_resized_crop(8) -> random_flip -> color_jitter(0.8) -> random_grayscale -> random_blur
      -> normalize(imagenet))
  loss      = mse(a, b)
  optimizer = AdamW(lr = 1e-3)
  epochs    = 4
  batch     = 6
}
"""

MASKED = """dlspec 1
model Net: (tokens: int[B, 8]) -> (logits: [B, 8, 256]) {
  Embedding(256, 8) -> Linear(256)
}

train Net {
  data      = text("a.txt", window = 8) -> mask_tokens(30%)
  loss      = cross_entropy(logits, data.targets)
  metrics   = [accuracy(logits, data.targets)]
  optimizer = AdamW(lr = 1e-2)
  epochs    = 2
  batch     = 8
}
"""


MIXED = """dlspec 1
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten -> Linear(16) -> relu -> Linear(10)
}

train Net {
  data      = digits -> mixup(0.2)
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-2)
  steps     = 3
  batch     = 8
}
"""


def test_mixed_labels_have_no_kernels() -> None:
    """Kernels take a class for each row: PyTorch's function takes the probabilities of classes too."""
    plain = compile(Source("net.dlspec", MIXED.replace(" -> mixup(0.2)", "")), ["train.kernels=triton"])
    mixed = compile(Source("net.dlspec", MIXED), ["train.kernels=triton"])
    assert "F.cross_entropy(logits, label)" in (mixed.recipe_code or "")
    assert "F.cross_entropy" not in (plain.recipe_code or "F.cross_entropy")


def test_a_part_of_a_mixed_batch_weighs_as_many_examples(place: Path) -> None:
    measure = program_of(compile(Source("net.dlspec", MIXED))).options.loss
    section = {"source": "digits", "options": {}, "augmentations": [{"word": "mixup", "options": {"alpha": 0.2}}]}
    data = open_data(section, base=place, seed=0)
    assert counted(measure, data.train.batch(0, torch.arange(5))) == 5
    assert counted(measure, data.train.in_evaluation().batch(0, torch.arange(5))) == 5


@pytest.mark.parametrize("ahead", [False, True], ids=["in turn", "ahead"])
@pytest.mark.parametrize("text", [EVERYTHING, VIEWS, MASKED], ids=["everything", "two views", "tokens"])
def test_interrupted_and_resumed_is_as_if_never_stopped(
    place: Path, monkeypatch: pytest.MonkeyPatch, text: str, ahead: bool
) -> None:
    flowers(place, each=8, size=(18, 24))
    save_picture(place / "flowers/rose/tall.png", np.full((40, 20, 3), 90, np.uint8))
    Path("a.txt").write_text("to be or not to be, that is the question. " * 40)
    monkeypatch.setattr(sessions, "Feed", lambda order, split, **_: Feed(order, split, ahead=ahead))
    program = program_of(compile(Source("net.dlspec", text)))
    assert train(program, place, place / "whole").finished == "steps"
    assert train(program, place, place / "parts", until=3).finished is None
    assert resume(program, place / "parts", until=4).finished is None
    assert resume(program, place / "parts").finished == "steps"
    assert same_weights(place / "whole", place / "parts")
    assert metrics(place / "whole") == metrics(place / "parts")


def test_batches_made_ahead_are_the_same(place: Path) -> None:
    flowers(place)
    section = {
        "source": "images",
        "options": {"folder": "flowers"},
        "augmentations": [{"word": "random_flip"}, {"word": "mixup", "options": {"alpha": 0.5}}],
    }
    data = open_data(section, base=place, seed=3)
    order = Order(3, len(data.train), 4)
    feeds = [Feed(Order(3, len(data.train), 4), data.train, ahead=ahead) for ahead in (False, True)]
    for step in (0, 1, 2, 5, 4):
        first, second = (feed.portion(step).batch for feed in feeds)
        epoch, ids = order.batch_of(step)
        third = data.train.batch(epoch, ids)
        assert all(torch.equal(first[name], second[name]) and torch.equal(first[name], third[name]) for name in third)
    for feed in feeds:
        feed.close()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda base: (base / "train-labels-idx1-ubyte.gz").unlink(), "there is no file train-labels-idx1-ubyte.gz"),
        (lambda base: write_idx(base / "train-labels-idx1-ubyte.gz", np.zeros(5, np.uint8)), "holds 60 pictures, and"),
        (lambda base: write_mnist(base, size=24), "`size` is 28 x 28, and the pictures of train-images-idx3-ubyte.gz"),
        (lambda base: write_mnist(base, classes=11), "train-labels-idx1-ubyte.gz has the label 10 in row 10, and"),
    ],
    ids=["no file", "unequal", "size", "classes"],
)
def test_faults_are_told_before_training(
    repo: Path, place: Path, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    for part in ("train", "t10k"):
        write_mnist(place, prefix=part)
    spoil(place)
    file = spec(repo, "mlp")
    for words in (["train", file], ["check", "--data", file]):
        assert main(words) == 1
        told = capsys.readouterr()
        assert message in (told.out + told.err).replace("\n", " ") and "Traceback" not in told.err
    assert not Path("runs").exists()
