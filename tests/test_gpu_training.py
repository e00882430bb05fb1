"""Training on a GPU: what is recorded and played gives the bits of what is not, with kernels and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import dlspec
from dlspec.api.compilation import program_of
from dlspec.cli.main import main
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime import Diverged, Program, learner, recording, verify_resume
from dlspec.runtime.optimization import Finished, Optimization

if not torch.cuda.is_available():
    pytest.skip("needs a GPU, and there is none here", allow_module_level=True)

STEPS = 7

TEXT = """\
dlspec 1
import std.transformer
default residual(pre = RMSNorm, drop = 0.1)
model Lm: (tokens: int[B, T <= 64]) -> (logits: [B, T, 256]) {
  embed: Embedding(256, 64) -> Dropout(0.1)
  blocks: repeat(2) {
    residual { attn: SelfAttention(2, causal = true, rotary = 10_000, dropout = 0.1) }
    residual { mlp: GatedFeedForward(96) }
  }
  norm: RMSNorm -> head: Linear(256, bias = false, weight = embed.weight)
}
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 64)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 7
  batch = 6
  clip = 1.0
}
"""
PICTURES = """\
dlspec 1
model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  Conv2d(16, 3) -> BatchNorm -> relu -> Conv2d(16, 3) -> BatchNorm -> relu -> flatten -> Linear(10)
}
train Net {
  data = digits
  loss = cross_entropy(logits, data.label)
  optimizer = SGD(lr = 1e-2, momentum = 0.9)
  steps = 7
  batch = 32
}
"""
SEQUENCES = """\
dlspec 1
model Lm: (tokens: int[B, T]) -> (logits: [B, T, 256]) {
  embed: Embedding(256, 32) -> lstm: LSTM(32, layers = 2, dropout = 0) -> head: Linear(256)
}
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 64)
  loss = cross_entropy(logits, data.targets)
  optimizer = Adam(lr = 1e-3)
  steps = 7
  batch = 6
}
"""


class Counted(recording.Recording):
    """A recording that counts how often it is played."""

    played = 0

    def play(self, *given: Any, **named: Any) -> torch.Tensor:
        Counted.played += 1
        return super().play(*given, **named)


def trained(folder: Path, text: str, run: str, *overrides: str) -> tuple[list[float], dict[str, torch.Tensor], int]:
    """Its losses, its weights, and how many passes were played."""
    (folder / "a.txt").write_text("To be, or not to be, that is the question. " * 80, encoding="utf-8")
    (folder / "net.dlspec").write_text(text, encoding="utf-8")
    Counted.played = 0
    dlspec.train(folder / "net.dlspec", run=folder / run, set=[*overrides], device="cuda")
    records = [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
    losses = [one["loss"] for one in records if one["split"] == "train"]
    model = dlspec.load(folder / run)
    return losses, {name: tensor.cpu() for name, tensor in model.state_dict().items()}, Counted.played


CASES = {
    "text": (TEXT, ["train.kernels=torch"], STEPS - 2),
    "text in bf16": (TEXT, ["train.precision=bf16", "train.kernels=torch"], STEPS - 2),
    "text with kernels": (TEXT, ["train.precision=bf16"], STEPS - 2),
    "text in parts": (TEXT, ["train.accumulate=3", "train.precision=bf16", "train.kernels=triton"], 3 * STEPS - 2),
    "not deterministic": (TEXT, ["train.deterministic=false"], STEPS - 2),
    "pictures": (PICTURES, [], STEPS - 2),
    "pictures in bf16": (PICTURES, ["train.precision=bf16"], STEPS - 2),
    "sequences": (SEQUENCES, [], STEPS - 2),
    # Its dropout draws a number on the CPU.
    "sequences with dropout": (SEQUENCES.replace("dropout = 0", "dropout = 0.2"), [], 0),
}


@pytest.mark.parametrize(("text", "overrides", "played"), CASES.values(), ids=CASES.keys())
def test_recorded_and_not(
    text: str, overrides: list[str], played: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "Recording", Counted)
    ours = trained(tmp_path, text, "played", *overrides)
    assert ours[2] == played
    monkeypatch.setattr(learner.Recorder, "wants", lambda *_: False)
    theirs = trained(tmp_path, text, "told", *overrides)
    assert theirs[2] == 0 and len(ours[0]) == STEPS
    if "train.deterministic=false" in overrides:
        assert ours[0] == pytest.approx(theirs[0], rel=1e-3)
        return
    assert ours[0] == theirs[0]
    for name, tensor in ours[1].items():
        assert torch.equal(tensor, theirs[1][name]), name


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "told"])
@pytest.mark.parametrize("optimizer", ["AdamW(lr = 1e-3)", "SGD(lr = 1e-2, momentum = 0.9)"])
def test_a_step_waits_for_no_loss(
    optimizer: str, recorded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bits of one that does; where all turns into no numbers, with the same weights and the same report."""
    text, step_ahead = TEXT.replace("AdamW(lr = 1e-3)", optimizer), Optimization.apply_unless_spoilt
    ahead: list[float] = []

    def told(self: Optimization, rate: float, finished: Finished) -> None:
        ahead.append(rate)
        step_ahead(self, rate, finished)

    monkeypatch.setattr(Optimization, "apply_unless_spoilt", told)
    if not recorded:
        monkeypatch.setattr(learner.Recorder, "wants", lambda *_: False)
    ours = trained(tmp_path, text, "ahead")
    spoilt = diverged(tmp_path, text, "ahead until", monkeypatch)
    assert len(ahead) == STEPS - 1 + 5
    monkeypatch.setattr(Optimization, "can_hold_back", False)
    theirs = trained(tmp_path, text, "waits")
    assert spoilt == diverged(tmp_path, text, "waits until", monkeypatch) and len(ahead) == STEPS - 1 + 5
    assert ours[0] == theirs[0]
    for name, tensor in ours[1].items():
        assert torch.equal(tensor, theirs[1][name]), name


def diverged(folder: Path, text: str, run: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The report of a run whose fifth step makes all weights no numbers."""
    rate = Program.learning_rate
    with monkeypatch.context() as patched:
        patched.setattr(
            Program, "learning_rate", lambda *given, **more: 1e60 if given[1] == 4 else rate(*given, **more)
        )
        with pytest.raises(Diverged, match="step 5: ") as caught:
            trained(folder, text, run)
    assert caught.value.evidence is not None
    return json.loads(caught.value.evidence.read_text())


def test_what_waits_for_the_gpu_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "Recording", Counted)
    plain = learner.Learner.training_loss

    def waiting(self: learner.Learner, batch: learner.Batch, *phase: Any) -> torch.Tensor:
        loss = plain(self, batch)
        return loss * 2 if loss.item() < 0 else loss

    monkeypatch.setattr(learner.Learner, "training_loss", waiting)
    assert trained(tmp_path, TEXT, "run")[2] == 0


@pytest.mark.parametrize("kernels", ["torch", "triton"])
def test_a_resumed_run_equals_one_that_was_not_stopped(kernels: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("To be, or not to be, that is the question. " * 80, encoding="utf-8")
    artefact = compile(Source("net.dlspec", TEXT), ["train.precision=bf16", f"train.kernels={kernels}"])
    assert verify_resume(program_of(artefact), tmp_path, 8, device="cuda").steps == 8


def test_trained_here_resumed_and_exported_on_a_cpu(tmp_path: Path) -> None:
    """With kernels, whose plain forms run there; and on from there on the GPU."""
    losses = trained(tmp_path, TEXT, "run")[0]
    assert (tmp_path / "run" / "net_kernels.py").exists()
    run = str(tmp_path / "run")
    assert main(["resume", run, "--set", "train.steps=9", "--device", "cpu", "--quiet"]) == 0
    assert main(["resume", run, "--set", "train.steps=11", "--device", "cuda", "--quiet"]) == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    seen = [one["loss"] for one in records if one["split"] == "train"]
    assert len(seen) >= 11 and seen[:STEPS] == losses and seen[-1] < losses[0]
    dlspec.export(run, tmp_path / "out")
