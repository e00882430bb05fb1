"""The emitted char-GPT trained by dlspec's loop, against the same model and loop written by hand (twin.py).

    python benchmarks/loop.py [--threads N] [--record] [--quick]

Both start from the same weights and see the same batches, so that their losses have to be equal but for rounding,
step by step; where they are not, the figures mean nothing and the exit code is 1. Target: 0.98 of the twin's speed.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pairs import Agreement, Pairs, agreement, batches_of, train_in_turns
from programs import compile_spec, program_of, write_text
from record import machine, others_share, record, spread, told, versions
from twin import CHAR_RECIPE, CHAR_SHAPE, Loop, Twin, load_emitted

from dlspec.runtime import Program

TARGET = 0.98
CPU = torch.device("cpu")


def measure(program: Program, folder: Path, pairs: int, length: int) -> tuple[Pairs, Agreement]:
    updates = (pairs + 1) * length
    batches = batches_of(program, folder, updates)
    twin = Twin(CHAR_SHAPE)
    load_emitted(twin, program.make_model().state_dict())
    exact = Loop(copy.deepcopy(twin).double(), CHAR_RECIPE, batches, CPU)
    loop = Loop(twin, CHAR_RECIPE, batches, CPU)
    found = train_in_turns(program, folder, folder / "run", loop, pairs=pairs, length=length, device="cpu")
    exact.run(updates)
    return found, agreement(found.our_losses, found.their_losses, exact.losses)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for both sides (default: 1)")
    parser.add_argument("--record", action="store_true", help="append to results/loop.json")
    parser.add_argument("--quick", action="store_true", help="a few updates, to see that it works")
    asked = parser.parse_args(arguments)
    pairs, length = (1, 12) if asked.quick else (15, 25)
    torch.set_num_threads(asked.threads)
    batch = ("train.batch=2",) if asked.quick else ()
    program = program_of(compile_spec("chargpt", "train.validate=none", "train.checkpoint=none", *batch))
    with TemporaryDirectory() as folder, others_share() as share:
        write_text(Path(folder, "input.txt"), 20_000 if asked.quick else 200_000)
        found, agreed = measure(program, Path(folder), pairs, length)
    tokens = length * program.options.batch * CHAR_SHAPE.context
    ours, theirs = (spread([tokens / took.passed for took in side]) for side in (found.ours, found.theirs))
    ratio, of_processor = spread(found.ratios), spread(found.processor_ratios)
    print(f"char-GPT, {asked.threads} threads, {pairs} pairs of {length} updates each, after one to warm up")
    print(f"losses:  {agreed}")
    print(f"ours:    {told(ours, 0)} tokens/s")
    print(f"by hand: {told(theirs, 0)} tokens/s")
    print(f"ratio:   {told(ratio)}, by processor time {told(of_processor)}; target {TARGET}")
    print(f"other processes had {share.get('others', 0):.0%} of the cores")
    if not agreed.good:
        print("void: this is not the same training", file=sys.stderr)
        return 1
    if asked.record:
        result = {
            "machine": machine(),
            "versions": versions("torch"),
            "threads": asked.threads,
            "pairs": pairs,
            "updates_per_turn": length,
            "ratio": ratio,
            "ratio_by_processor_time": of_processor,
            "target": TARGET,
            "met": ratio["median"] >= TARGET,
            "tokens_per_second": {"ours": ours, "by_hand": theirs},
            "losses": {"step": agreed.step, "difference": agreed.difference, "allowed": agreed.allowed},
            **share,
        }
        print(f"recorded in {record('loop', result).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
