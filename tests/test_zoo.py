"""Every system that ships: trained for some steps at a reduced size, and exported as ONNX and TorchScript with proof.

Its data is made here, in the form that the spec reads.
"""

from __future__ import annotations

import gzip
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dlspec

ROOT = Path(__file__).resolve().parents[1]
SPECS = ROOT / "specs"
WORDS = "the cat sat on a mat and saw one dog run far away from an old red house".split()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="PyTorch's TorchScript has no Python 3.14"),
]


# --- data ------------------------------------------------------------------------------------------------------------


def nothing(folder: Path) -> None:
    """What the spec reads comes with a package, or is made by itself."""


def idx(folder: Path) -> None:
    """The four files of Fashion-MNIST, with noise in them."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 10)):
        pictures, labels = draw.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for name, array in (("images-idx3", pictures), ("labels-idx1", labels)):
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))


def pictures(name: str, side: int, classes: int = 3) -> Callable[[Path], None]:
    """A folder for each class, six pictures in each."""

    def write(folder: Path) -> None:
        image = pytest.importorskip("PIL.Image")
        draw = np.random.default_rng(0)
        for label in range(classes):
            (folder / name / f"class{label}").mkdir(parents=True)
            for number in range(6):
                array = draw.integers(0, 256, (side, side, 3), np.uint8)
                image.fromarray(array).save(folder / name / f"class{label}" / f"{number}.png")

    return write


def sentences(*names: str) -> Callable[[Path], None]:
    """Files of as many lines, each of three to eight words."""

    def write(folder: Path) -> None:
        draw = np.random.default_rng(0)
        lines = [" ".join(draw.choice(WORDS, draw.integers(3, 9))) for _ in range(400)]
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return write


def with_tokenizer(*names: str) -> Callable[[Path], None]:
    """The same, and a tokenizer of 300 tokens that was made of them."""

    def write(folder: Path) -> None:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        sentences(*names)(folder)
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train(
            [str(folder / names[0])],
            trainers.BpeTrainer(vocab_size=300, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet),
        )
        tokenizer.save(str(folder / "tokenizer.json"))

    return write


def tokens(folder: Path) -> None:
    np.random.default_rng(0).integers(0, 300, 2000).astype("<u2").tofile(folder / "train.bin")


def reviews(folder: Path) -> None:
    draw = np.random.default_rng(0)
    found = draw.integers(1, 300, (40, 12))
    for row, length in enumerate(draw.integers(3, 13, 40)):
        found[row, length:] = 0
    np.savez(folder / "reviews.npz", tokens=found, label=np.arange(40) % 2)


def series(folder: Path) -> None:
    walk = np.random.default_rng(0).standard_normal((40, 13, 8)).cumsum(1).astype(np.float32)
    np.savez(folder / "series.npz", past=walk[:, :12], next=walk[:, 12])


def masks(folder: Path) -> None:
    draw = np.random.default_rng(0)
    image = draw.random((10, 3, 32, 32), np.float32)
    np.savez(folder / "voc.npz", image=image, label=draw.integers(0, 21, (10, 32, 32)))


# --- systems ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """How a system is made small, and what it reads."""

    data: Callable[[Path], None]
    overrides: tuple[str, ...]


def small(data: Callable[[Path], None], *overrides: str) -> Case:
    return Case(data, ("train.batch=4", *overrides))


def imagenet(*overrides: str, crop: str = "random_resized_crop(64) -> random_flip", more: str = "") -> Case:
    flow = f'train.data=images("imagenet/", size = 72) -> {crop} -> normalize(imagenet){more}'
    settings = ("classes=6", "train.epochs=1", "train.schedule=constant")
    return small(pictures("imagenet", 80, classes=6), flow, *settings, *overrides)


VIEWS = (
    'train.data=images("imagenet/", size = 40) -> two_views(random_resized_crop(32) -> random_flip -> color_jitter(0.4)'
    " -> random_grayscale -> random_blur -> normalize(imagenet))"
)
TEXT = ("train.steps=2", "vocab=300")
LLAMA = small(
    tokens,
    *TEXT,
    "dim=64",
    "hidden=96",
    "heads=8",
    "kv_heads=2",
    "depth=2",
    "context=16",
    "train.parallel=none",
    "train.schedule=constant",
    "train.accumulate=2",
)
SYSTEMS = {
    "addition": small(nothing, "train.epochs=1", "hidden=16", "train.data.examples=16", "train.data.validation=4"),
    "alexnet": imagenet("hidden=32", crop="random_crop(64) -> random_flip"),
    "autoencoder": small(idx, "train.epochs=1"),
    "bert": small(
        with_tokenizer("sentences.txt"),
        "train.start=none",
        "vocab=300",
        "dim=32",
        "heads=4",
        "depth=2",
        "train.steps=2",
        "train.epochs=none",
    ),
    "bilstm": small(reviews, "train.epochs=1", "vocab=300", "dim=16", "hidden=16"),
    "chargpt": small(
        sentences("input.txt"),
        "vocab=19",
        "dim=32",
        "depth=2",
        "context=16",
        "train.steps=2",
        "train.schedule=constant",
    ),
    "convnet": small(idx, "train.epochs=1"),
    "dcgan": small(pictures("faces", 64), "width=8", "latent=16", "train.epochs=1"),
    "densenet": imagenet("growth=8"),
    "digits": small(nothing, "train.epochs=1", "train.batch=600", "train.validate=none"),
    "digits_resnet": small(nothing, "train.epochs=1", "train.batch=600", "train.validate=none"),
    "efficientnet": imagenet(),
    "gemma2": small(
        tokens,
        *TEXT,
        "dim=32",
        "hidden=64",
        "depth=2",
        "context=16",
        "train.data.window=16",
        "train.parallel=none",
        "train.schedule=constant",
    ),
    "googlenet": imagenet(),
    "gpt": small(
        sentences("corpus/a.txt"),
        *TEXT,
        "dim=32",
        "heads=4",
        "depth=2",
        "context=16",
        "train.parallel=none",
        "train.schedule=constant",
        "train.accumulate=2",
    ),
    "gru": small(series, "train.epochs=1", "hidden=16"),
    "highway": small(idx, "train.epochs=1", "depth=4"),
    "lenet": small(idx, "train.epochs=1"),
    "llama": LLAMA,
    "logistic": small(nothing, "train.epochs=1", "train.batch=200"),
    "lstm": small(sentences("ptb.txt"), "vocab=300", "dim=16", "train.epochs=1", "train.batch=64"),
    "mixtral": LLAMA,
    "mlp": small(idx, "train.epochs=1"),
    "moco": small(pictures("imagenet", 48), VIEWS, "train.epochs=1", "train.schedule=constant"),
    "preresnet": small(pictures("cifar10", 32), "depth=2", "classes=3", "train.steps=2", "train.schedule=constant"),
    "resnet18": imagenet(),
    "resnet50": imagenet(),
    "reversal": small(
        nothing, "train.epochs=1", "dim=16", "length=4", "train.data.examples=16", "train.data.validation=4"
    ),
    "rnn": small(
        sentences("tinyshakespeare.txt"),
        "symbols=19",
        "hidden=16",
        "train.steps=2",
        "train.sample=none",
        "train.data.window=16",
    ),
    "roberta": small(
        sentences("corpus/a.txt"),
        *TEXT,
        "dim=32",
        "heads=4",
        "depth=2",
        "context=16",
        "train.schedule=constant",
        "train.accumulate=1",
    ),
    "seq2seq": small(
        sentences("train.de", "train.en"),
        "vocab=300",
        "dim=16",
        "hidden=16",
        "train.epochs=none",
        "train.steps=2",
        "train.data.window=32",
    ),
    "simclr": small(pictures("imagenet", 48), VIEWS, "train.epochs=1", "train.schedule=constant"),
    "t5": small(
        with_tokenizer("train.source", "train.target"),
        *TEXT,
        "dim=32",
        "depth=2",
        "train.data.window=32",
        "train.schedule=constant",
    ),
    "transfer": small(pictures("pets", 48), "train.start=none", "train.epochs=1", "classes=3"),
    "transformer": small(
        sentences("train.de", "train.en"), *TEXT, "dim=32", "depth=2", "train.data.window=32", "train.schedule=constant"
    ),
    "unet": small(masks, "train.epochs=1"),
    "vae": small(idx, "train.epochs=1"),
    "vgg": imagenet("hidden=32", crop="random_crop(64) -> random_flip"),
    "vit": imagenet(
        "side=32",
        "dim=48",
        "heads=4",
        "depth=2",
        "train.schedule=constant",
        crop="random_resized_crop(32) -> random_flip",
        more=" -> mixup(0.2)",
    ),
}


def test_every_system_is_here() -> None:
    assert SYSTEMS.keys() == {path.stem for path in SPECS.glob("*.dlspec")}


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_learns_and_is_exported_with_proof(name: str, tmp_path: Path) -> None:
    case = SYSTEMS[name]
    case.data(tmp_path)
    page = (ROOT / "docs" / "gallery" / f"{name}.md").read_text(encoding="utf-8")
    wanted = re.search("it reads (.+) beside the spec", page)
    assert all([*tmp_path.glob(file)] for file in re.findall("`(.+?)`", wanted[1])) if wanted else case.data is nothing
    spec = tmp_path / f"{name}.dlspec"
    spec.write_bytes((SPECS / spec.name).read_bytes())
    result = dlspec.train(spec, tmp_path / "run", set=case.overrides, device="cpu")
    assert result.steps >= 1
    report = dlspec.export(result.run, tmp_path / "out", formats=["onnx", "torchscript"])
    assert {Path(name).suffix for name in report["files"]} == {".onnx", ".pt"}
    assert all(one["proof"]["ok"] for one in report["files"].values())
