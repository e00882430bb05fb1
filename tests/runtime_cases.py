"""Small programs, data and comparisons for the tests of training. Also imported by the processes that they start."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlspec.runtime.data import Data, Field, Split
from dlspec.runtime.program import Program

GOLDEN = Path(__file__).resolve().parent / "golden"
SPEEDS = ("tokens_per_second", "samples_per_second")


def golden(name: str) -> tuple[str, str, dict[str, Any]]:
    """Model text, recipe text and settings of a golden artefact."""
    texts = [(GOLDEN / f"{name}{ending}").read_text() for ending in (".py", "_recipe.py", ".json")]
    return texts[0], texts[1], json.loads(texts[2])


def replace_all(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def digits(settings: Mapping[str, Any] | None = None) -> Program:
    """The MLP on scikit-learn's digits, a few steps a pass."""
    model, recipe, base = golden("digits")
    return Program("digits", model, recipe, {**base, **(settings or {})})


# Written out here, so that tests can put other optimizers and schedules into it.
RECIPE = """
import math
import torch
import torch.nn.functional as F

def loss(logits, targets):
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())

def parameter_groups(model):
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]

def optimizer(model):
    return torch.optim.OPTIMIZER

def learning_rate(step):
    return RATE
"""
ADAMW = "AdamW(parameter_groups(model), lr=3e-3, betas=(0.9, 0.95), fused=True)"
SGD = "SGD(parameter_groups(model), lr=3e-2, momentum=0.9, nesterov=True)"
COSINE = "3e-3 * (step + 1) / 2 if step < 2 else 3e-3 * (1 + math.cos(math.pi * (step - 2) / 58)) / 2"


def gpt(
    settings: Mapping[str, Any] | None = None, *, drop: float = 0.1, optimizer: str = ADAMW, rate: str = COSINE
) -> Program:
    """A GPT of two blocks of 16 channels over 32 tokens, and 12 steps on batches of 8."""
    code, _, base = golden("gpt")
    constants = {"vocab": 32, "context": 16, "dim": 16, "heads": 2, "depth": 2, "drop": drop}
    for name, value in constants.items():
        code, found = re.subn(rf"(?m)^(    {name}: \w+) = [\d_.]+$", rf"\1 = {value}", code)
        assert found == 1, name
    base["model"] |= {"outputs": [{"name": "logits", "dtype": "float", "dims": ["B", "T", 32]}], "limits": {"T": 16}}
    base["loss"]["classes"]["width"] = 32
    base |= {"data": {"source": "made", "options": {}}, "steps": 12, "batch": 8, "precision": "fp32", "clip": None}
    base |= {"checkpoint": {"every": None, "keep": 2}, **(settings or {})}
    return Program("gpt", code, RECIPE.replace("OPTIMIZER", optimizer).replace("RATE", rate), base)


class Windows(Split):
    """Made-up windows of tokens, another view of each in every pass; `ignored` of the targets do not count."""

    def __init__(self, count: int, first: int = 0, *, ignored: bool = False, window: int = 12) -> None:
        self.count, self.first, self.ignored, self.window = count, first, ignored, window

    def __len__(self) -> int:
        return self.count

    def batch(self, epoch: int, ids: Tensor) -> dict[str, Tensor]:
        start = (ids + self.first).unsqueeze(1)
        places = torch.arange(self.window + 1)
        text = (start * 7 + epoch + places * (1 + start % 5) + places**2) % 32
        tokens, targets = text[:, :-1].contiguous(), text[:, 1:].clone()
        if self.ignored:
            targets[(start + places[1:]) % 3 < start % 4] = -100
        return {"tokens": tokens, "targets": targets}


def open_windows(settings_data: Mapping[str, Any], *, base: Path, seed: int) -> Data:
    """The data source "made": `options` are train, validation (counts), ignored, and what is to be its hash."""
    options = settings_data["options"]
    ignored = options.get("ignored", False)
    count = options.get("validation", 10)
    return Data(
        train=Windows(options.get("train", 45), ignored=ignored),
        validation=Windows(count, 1000, ignored=ignored) if count else None,
        fields={"tokens": Field("int", (12,), 32), "targets": Field("int", (12,), 32)},
        fingerprint={"made": {"sha256": options.get("hash", "0" * 64), "size": 540}},
    )


def newest(run: Path) -> Path:
    return max((run / "checkpoints").glob("step-??????"))


def same_weights(one: Path, other: Path) -> bool:
    """Whether the newest checkpoints of two runs hold the same bits: weights and optimizer."""
    files = ("model.safetensors", "optimizer.safetensors")
    a, b = newest(one), newest(other)
    return a.name == b.name and all((a / name).read_bytes() == (b / name).read_bytes() for name in files)


def metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run without their speeds."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in SPEEDS} for line in lines]
