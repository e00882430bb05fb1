"""One word apart: twelve layers of specs/chargpt.dlspec with the norms before the branches, and behind the sums.

    python benchmarks/norm_placement.py [--data tinyshakespeare.txt] [--threads N] [--record] [--quick]

Both are trained at a rate of 3e-3 from the first update on, without warmup. The loss over the validation part is told
every 25 updates. Post-norm (Vaswani et al. 2017) stays at what the frequencies of characters alone give; pre-norm
learns (Xiong et al. 2020 say why). Where that is not so the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from programs import SPECS, program_of, write_text
from record import machine, others_share, record, versions

from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime import open_display, train

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "tinyshakespeare.txt"
PRE, POST = "default residual(pre = LayerNorm", "default residual(post = LayerNorm"
OVERRIDES = (
    "depth=12",
    "train.optimizer.lr=3e-3",
    "train.schedule=constant",
    "train.steps=300",
    "train.validate=every(25)",
    "train.checkpoint=none",
)
QUICK = ("depth=2", "train.steps=4", "train.validate=every(2)")


def curve(head: str, text: Path, *overrides: str) -> list[tuple[int, float]]:
    """The validation losses of a training, by the step."""
    spec = (SPECS / "chargpt.dlspec").read_text(encoding="utf-8")
    assert spec.count(PRE) == 1
    program = program_of(compile(Source("chargpt.dlspec", spec.replace(PRE, head)), (*OVERRIDES, *overrides)))
    with TemporaryDirectory() as folder:
        shutil.copy(text, Path(folder, "input.txt"))
        run = Path(folder, "run")
        train(program, Path(folder), run, device="cpu", display=open_display("plain"))
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(one["step"], one["loss"]) for one in records if one["split"] == "validation"]


def entropy(text: str) -> float:
    """The loss of who knows how often each character comes and nothing else, in nats."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log(n / len(text)) for n in counts.values())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="the text (default: beside the checkout, in shared/)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--record", action="store_true", help="append to results/norm_placement.json")
    parser.add_argument("--quick", action="store_true", help="four updates on a made text, to see that it works")
    asked = parser.parse_args(arguments)
    if not asked.quick and not asked.data.is_file():
        parser.error(f"there is no {asked.data}: give the text of tiny Shakespeare with --data")
    torch.set_num_threads(asked.threads)
    with TemporaryDirectory() as folder, others_share() as share:
        text = asked.data
        if asked.quick:
            text = Path(folder, "made.txt")
            write_text(text, 20_000)
        overrides = QUICK if asked.quick else ()
        pre, post = (curve(head, text, *overrides) for head in (PRE, POST))
        floor = entropy(text.read_text(encoding="utf-8"))
    print(f"after {pre[-1][0]} updates: pre-norm {pre[-1][1]:.3f}, post-norm {post[-1][1]:.3f}")
    print(f"frequencies of characters alone: {floor:.3f}")
    stalls, learns = post[-1][1] > floor - 0.1, pre[-1][1] < floor - 0.4
    if asked.quick:
        return 0
    if asked.record:
        result = {
            "machine": machine(),
            "versions": versions("torch"),
            "threads": asked.threads,
            "pre": [[step, round(loss, 4)] for step, loss in pre],
            "post": [[step, round(loss, 4)] for step, loss in post],
            "frequencies_alone": round(floor, 4),
            "met": stalls and learns,
            **share,
        }
        print(f"recorded in {record('norm_placement', result).name}")
    return 0 if stalls and learns else 1


if __name__ == "__main__":
    sys.exit(main())
