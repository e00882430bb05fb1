"""Specs of the zoo on real data: what each reaches, beside what it has to reach and what was published.

    python benchmarks/classics.py [--only NAME ...] [--fashion FOLDER] [--threads N] [--record] [--quick]

Fashion-MNIST (Xiao et al. 2017) is read from its four IDX files; Debian's package dataset-fashion-mnist has them, and
figures of its README are the published ones. Digits are scikit-learn's, and tasks make their own
examples. Where something is not reached the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from programs import compile_spec, program_of, write_idx
from record import machine, others_share, record, versions

from dlspec.runtime import open_display, train

FASHION = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Case:
    """A spec that is trained as it stands. Its accuracy on what it was not trained on has to be `least` at least;
    `published` is a figure of others, and `by` whose."""

    spec: str
    least: float
    published: float
    by: str
    fashion: bool = False


CASES = (
    Case("mlp", 0.89, 0.883, "a perceptron of 256-128-100, README of Fashion-MNIST", fashion=True),
    Case("convnet", 0.91, 0.916, "two convolutions with pooling, README of Fashion-MNIST", fashion=True),
    Case("lenet", 0.89, 0.876, "two convolutions with pooling, README of Fashion-MNIST", fashion=True),
    Case("digits_resnet", 0.975, 0.969, "a support vector machine, scikit-learn's example"),
    Case("addition", 0.99, 0.99, "an LSTM after 55 epochs, Keras's example addition_rnn"),
    Case("reversal", 1.0, 1.0, "what the task allows"),
)
QUICK = ("train.epochs=1", "train.schedule=constant")


def reached(case: Case, folder: Path, *overrides: str) -> tuple[float, float]:
    """The accuracy after the whole training, and its minutes. `folder` has the files that the spec reads."""
    program = program_of(compile_spec(case.spec, *overrides))
    begun = time.perf_counter()
    with TemporaryDirectory() as runs:
        result = train(program, folder, Path(runs, case.spec), device="cpu", display=open_display("plain"))
    accuracy = result.validation["accuracy"]
    assert accuracy is not None
    return accuracy, (time.perf_counter() - begun) / 60


def few_pictures(folder: Path) -> None:
    """Files like those of Fashion-MNIST, of noise."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 300), ("t10k", 100)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", draw.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [case.spec for case in CASES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--fashion", type=Path, default=FASHION, help="where the files of Fashion-MNIST are")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--record", action="store_true", help="append to results/classics.json")
    parser.add_argument(
        "--quick", action="store_true", help="an epoch each, on few made pictures, to see that it works"
    )
    asked = parser.parse_args(arguments)
    cases = [case for case in CASES if case.spec in asked.only]
    if not asked.quick and any(case.fashion for case in cases) and not asked.fashion.is_dir():
        parser.error(f"there is no {asked.fashion}: give the folder of Fashion-MNIST with --fashion")
    torch.set_num_threads(asked.threads)
    met = True
    for case in cases:
        with TemporaryDirectory() as made, others_share() as share:
            few_pictures(Path(made))
            folder, overrides = (Path(made), QUICK) if asked.quick else (asked.fashion, ())
            accuracy, minutes = reached(case, folder, *overrides)
        print(f"{case.spec}: accuracy {accuracy:.4f}, at least {case.least:g}; {case.published:g} is {case.by}")
        met &= accuracy >= case.least
        if asked.record and not asked.quick:
            found = {
                "spec": case.spec,
                "machine": machine(),
                "versions": versions("torch"),
                "threads": asked.threads,
                "accuracy": round(accuracy, 4),
                "least": case.least,
                "published": case.published,
                "by": case.by,
                "met": accuracy >= case.least,
                "minutes": round(minutes, 1),
                **share,
            }
            print(f"recorded in {record('classics', found).name}")
    return 0 if met or asked.quick else 1


if __name__ == "__main__":
    sys.exit(main())
