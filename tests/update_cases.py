"""A small model on made-up pictures, trained by recipes of a line or two. For tests of what changes weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dlspec import compile
from dlspec.api.compilation import program_of
from dlspec.runtime import resume, train
from dlspec.runtime.data import Data, Field, Split
from dlspec.runtime.program import Program

STEPS = 6
SPEC = """\
dlspec 1
model Net: (image: [B, 1, 6, 6]) -> (logits: [B, 4]) {
  stem: { Conv2d(3, kernel = 3, pad = 1) -> norm: BatchNorm -> relu -> Dropout(0.2) }
  flatten
  blocks: repeat(2) { mlp: Linear(12) -> norm: LayerNorm -> relu -> Dropout(0.1) }
  head: Linear(4)
}
train Net {
  data = arrays("x.npz")
  loss = cross_entropy(logits, data.label)
"""
USUAL = {"optimizer": "AdamW(lr = 1e-2, decay = 0.1)", "steps": str(STEPS), "batch": "8", "validate": "every(2)"}


class Pictures(Split):
    """Made-up pictures, another view of each in every pass."""

    def __init__(self, count: int, first: int = 0) -> None:
        self.count, self.first = count, first

    def __len__(self) -> int:
        return self.count

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        start = (ids + self.first).float().view(-1, 1, 1, 1)
        places = torch.arange(36.0).view(1, 1, 6, 6)
        return {"image": torch.sin(start * places + epoch), "label": (ids + self.first) % 4}


def open_pictures(settings: Mapping[str, Any], *, base: Path, seed: int) -> Data:
    fields = {"image": Field("float", (1, 6, 6)), "label": Field("int", (), 4)}
    return Data(Pictures(20), Pictures(6, 100), fields, fingerprint={"made": {"sha256": "0" * 64, "size": 1}})


def spec_of(spec: str = SPEC, **lines: str | None) -> str:
    kept = {key: value for key, value in {**USUAL, **lines}.items() if value is not None}
    return spec + "".join(f"  {key} = {value}\n" for key, value in kept.items()) + "}\n"


def program(spec: str = SPEC, **lines: str | None) -> Program:
    made = compile(spec_of(spec, **lines))
    assert made.recipe_code is not None, [d.message for d in made.diagnostics]
    return program_of(made)


def trained(run: Path, made: Program, until: int | None = None) -> Path:
    train(made, run.parent, run, open_data=open_pictures, until=until)
    return run


def tensors(run: Path, step: int, file: str = "model") -> dict[str, Tensor]:
    return load_file(run / "checkpoints" / f"step-{step:06d}" / f"{file}.safetensors")


def measures(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith("_per_second")} for line in lines]


def assert_resumes(folder: Path, made: Program, stop: int = 3) -> Path:
    """Interrupted after an update that nothing was due at, and straight on: the same bits, file by file."""
    whole = trained(folder / "whole", made)
    halves = trained(folder / "halves", made, until=stop)
    resume(made, halves, open_data=open_pictures)
    last = [max((run / "checkpoints").glob("step-??????")) for run in (whole, halves)]
    files = [sorted(path.name for path in folder.glob("*.safetensors")) for folder in last]
    assert files[0] == files[1]
    for name in files[0]:
        assert (last[0] / name).read_bytes() == (last[1] / name).read_bytes(), name
    assert measures(whole) == measures(halves)
    return whole
