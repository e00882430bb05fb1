"""Does a network that was shown no label see more than pixels? specs/simclr.dlspec under a linear probe.

    python benchmarks/probe.py [--fashion FOLDER] [--threads N] [--record] [--quick]

SimCLR (Chen et al. 2020) a quarter as wide as the spec says learns from 20,000 pictures of Fashion-MNIST, blown up to
56 x 56, without their labels. Then scikit-learn's logistic regression is fitted to 1,000 labelled pictures, once to the
pixels and once to what the network makes of them, each as strongly regularised as is best for it in five folds of
these, and asked for the 10,000 test pictures. Where pixels do as well the exit code is 1. Half an hour on one CPU core.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from classics import FASHION, few_pictures
from PIL import Image
from programs import SPECS, read_idx
from record import machine, others_share, record, versions
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dlspec
from dlspec.runtime import open_display

SEEN, LABELLED, SIZE = 20_000, 1_000, 56
DATA = (
    # Without strong changes of brightness that alone tells the pictures apart, and nothing else is learned.
    f'train.data=images("pictures/", size = {SIZE}) -> two_views(random_resized_crop({SIZE}, scale = [0.4, 1])'
    " -> random_flip -> color_jitter(0.8) -> normalize([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]))"
)
OVERRIDES = (
    DATA,
    "width=16",
    "train.batch=128",
    "train.optimizer=AdamW(lr = 2e-3, decay = 1e-4)",
    "train.schedule=warmup(5%) -> cosine(to = 0)",
    "train.precision=fp32",
    "train.loss=nt_xent(a, b, temperature = 0.2)",
)


def features(folder: Path, pictures: np.ndarray, epochs: int) -> torch.nn.Module:
    """The backbone after a training on `pictures`, [count, 28, 28], in evaluation."""
    (folder / "pictures" / "all").mkdir(parents=True)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).convert("RGB").save(folder / "pictures" / "all" / f"{number:05}.png")
    spec = folder / "simclr.dlspec"
    spec.write_bytes((SPECS / spec.name).read_bytes())
    overrides = (*OVERRIDES, f"train.epochs={epochs}")
    result = dlspec.train(spec, folder / "run", set=overrides, device="cpu", display=open_display("plain"))
    return getattr(dlspec.load(result.run), "backbone")  # noqa: B009  nn.Module's getattr says Tensor | Module


@torch.no_grad()
def seen_by(backbone: torch.nn.Module, pictures: np.ndarray) -> np.ndarray:
    """[count, 28, 28] -> [count, features], the pictures as the training saw them, whole."""
    large = torch.nn.functional.interpolate(
        torch.from_numpy(pictures / 255.0).float()[:, None], size=(SIZE, SIZE), mode="bilinear"
    )
    coloured = ((large - 0.5) / 0.5).expand(-1, 3, -1, -1)
    return torch.cat([backbone(part) for part in coloured.split(500)]).numpy()


def probed(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, answers: np.ndarray) -> float:
    """The accuracy of a logistic regression that was fitted to `known`, [count, features]."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    search = GridSearchCV(classifier, {"logisticregression__C": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]}, cv=5)
    return float(np.mean(search.fit(known, labels).predict(asked) == answers))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", type=Path, default=FASHION, help="where the files of Fashion-MNIST are")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the pictures (default: 12)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--record", action="store_true", help="append to results/probe.json")
    parser.add_argument("--quick", action="store_true", help="a pass over few made pictures, to see that it works")
    asked = parser.parse_args(arguments)
    if not asked.quick and not asked.fashion.is_dir():
        parser.error(f"there is no {asked.fashion}: give the folder of Fashion-MNIST with --fashion")
    torch.set_num_threads(asked.threads)
    begun = time.perf_counter()
    with TemporaryDirectory() as made, others_share() as share:
        folder = Path(made)
        if asked.quick:
            few_pictures(folder)
        source = folder if asked.quick else asked.fashion
        pictures, labels, tests, answers = (
            read_idx(source / f"{part}-{kind}-ubyte.gz")
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        )
        epochs = 1 if asked.quick else asked.epochs
        backbone = features(folder, pictures[:SEEN], epochs)
    known, rest = pictures[:LABELLED], labels[:LABELLED]
    pixels = probed(known.reshape(len(known), -1) / 255, rest, tests.reshape(len(tests), -1) / 255, answers)
    learned = probed(seen_by(backbone, known), rest, seen_by(backbone, tests), answers)
    print(f"accuracy of a linear probe: features {learned:.4f}, pixels {pixels:.4f}")
    if asked.quick:
        return 0
    if asked.record:
        result = {
            "machine": machine(),
            "versions": versions("torch", "scikit-learn"),
            "threads": asked.threads,
            "epochs": epochs,
            "features": round(learned, 4),
            "pixels": round(pixels, 4),
            "met": learned > pixels,
            "minutes": round((time.perf_counter() - begun) / 60, 1),
            **share,
        }
        print(f"recorded in {record('probe', result).name}")
    return 0 if learned > pixels else 1


if __name__ == "__main__":
    sys.exit(main())
