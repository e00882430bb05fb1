"""The Transformer of specs/transformer.dlspec, reduced, from German to English on Multi30k (Elliott et al. 2016).

    python benchmarks/multi30k.py [--data DIR] [--threads N] [--run DIR] [--record] [--quick]

Trained and asked by the command line, as a user would: 29,000 pairs, 256 channels, 3 and 3 blocks, 1,600 updates of
128 pairs; then the 1,000 lines of the 2016 test set, the most likely token each time. sacrebleu of these below 25 is
exit code 1. An hour on 2 CPU cores is enough where nothing else runs; `dlspec resume` goes on with a --run that was
stopped, and this script asks it where it is finished.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from record import machine, others_share, record, versions
from sacrebleu.metrics.bleu import BLEU

SPEC = Path(__file__).resolve().parents[1] / "specs" / "transformer.dlspec"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "multi30k"
PARTS = ("train", "val", "test_2016_flickr")
LIMIT = 25.0
SIZE = (
    *("vocab=8_000", "dim=256", "heads=4", "depth=3", "train.data.window=32"),
    *("train.steps=1_600", "train.batch=128", "train.optimizer.lr=1e-3"),
    *("train.schedule=warmup(10%) -> cosine(to = 0)", "train.validate=every(400)", "train.checkpoint=every(400)"),
)
QUICK = (
    *("vocab=290", "dim=16", "heads=2", "depth=1", "train.data.window=8"),
    *("train.steps=8", "train.batch=8", "train.optimizer.lr=1e-3", "train.schedule=warmup(2) -> cosine"),
)


def dlspec(folder: Path, threads: int, *arguments: str) -> str:
    """What a command says on standard output; stops where it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "dlspec", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"dlspec {arguments[0]} failed with exit code {done.returncode}")
    return done.stdout


def data_settings(data: Path) -> list[str]:
    """The files of the training and the validation part."""
    train, validation = (
        [json.dumps(str(data / f"{part}.{language}.gz")) for language in ("de", "en")] for part in PARTS[:2]
    )
    return [
        f"train.data.source={train[0]}",
        f"train.data.target={train[1]}",
        f"train.data.validation=[{', '.join(validation)}]",
    ]


def lines_of(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def write_reversals(data: Path) -> None:
    """Made-up pairs under the names of the files: the words of a line turned around."""
    rng = random.Random(1)
    for part, count in zip(PARTS, (40, 12, 4), strict=True):
        told = [[rng.choice(["eins", "zwei", "drei"]) for _ in range(rng.randint(1, 3))] for _ in range(count)]
        for language, turn in (("de", 1), ("en", -1)):
            content = "".join(f"{' '.join(words[::turn])}\n" for words in told)
            (data / f"{part}.{language}.gz").write_bytes(gzip.compress(content.encode()))


def trained(run: Path, data: Path, size: Sequence[str], threads: int) -> float:
    """The minutes of the training; none where the run is there already."""
    if (run / "manifest.json").is_file():
        return 0.0
    begun = time.perf_counter()
    settings = [word for setting in (*size, *data_settings(data)) for word in ("--set", setting)]
    dlspec(run.parent, threads, "train", str(SPEC), "--run", run.name, "--device", "cpu", *settings)
    return (time.perf_counter() - begun) / 60


def translated(run: Path, data: Path, threads: int) -> tuple[float, float, list[str]]:
    """sacrebleu of the test set, the minutes that it took, and its translations."""
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        source = Path(folder, "source.txt")
        source.write_text("".join(f"{line}\n" for line in lines_of(data / f"{PARTS[2]}.de.gz")), encoding="utf-8")
        told = dlspec(run.parent, threads, "predict", run.name, "--input", str(source), "--device", "cpu", "--json")
    said = [output["target"] for output in json.loads(told)["outputs"]]
    score = BLEU().corpus_score(said, [lines_of(data / f"{PARTS[2]}.en.gz")]).score
    return score, (time.perf_counter() - begun) / 60, said


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the .gz files (default: in shared/)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument(
        "--run", type=Path, help="keep the run here, or ask the one that is there (default: thrown away)"
    )
    parser.add_argument("--record", action="store_true", help="append to results/multi30k.json")
    parser.add_argument("--quick", action="store_true", help="8 steps on made-up lines, to see that it works")
    asked = parser.parse_args(arguments)
    missing = [f"{part}.{language}.gz" for part in PARTS for language in ("de", "en")]
    missing = [name for name in missing if not (asked.data / name).is_file()]
    if missing and not asked.quick:
        parser.error(f"there is no {missing[0]} in {asked.data}: give the folder of Multi30k with --data")
    with TemporaryDirectory() as folder, others_share() as share:
        data = asked.data.resolve()
        if asked.quick:
            data = Path(folder)
            write_reversals(data)
        run = (asked.run or Path(folder, "run")).resolve()
        training = trained(run, data, QUICK if asked.quick else SIZE, asked.threads)
        score, translating, said = translated(run, data, asked.threads)
    print(f"sacrebleu {score:.2f} of {len(said):,} lines; first: {said[0]}")
    print(f"minutes: {training:.1f} training, {translating:.1f} translating")
    if asked.quick:
        return 0
    print(f"limit {LIMIT:g}")
    if asked.record:
        result = {
            "machine": machine(),
            "versions": versions("torch", "sacrebleu"),
            "threads": asked.threads,
            "sacrebleu": round(score, 2),
            "limit": LIMIT,
            "met": score >= LIMIT,
            "minutes": {"training": round(training, 1), "translating": round(translating, 1)},
            **share,
        }
        print(f"recorded in {record('multi30k', result).name}")
    return 0 if score >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
