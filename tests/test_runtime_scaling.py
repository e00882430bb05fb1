"""`precision = fp16`: the loss is scaled for its gradients, as PyTorch's GradScaler does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy
from update_cases import SPEC, Pictures, assert_resumes, measures, open_pictures, program, tensors, trained

from dlspec import compile
from dlspec.runtime import resume
from dlspec.runtime.errors import Diverged
from dlspec.runtime.order import Order
from dlspec.runtime.scaling import GROWS_AFTER, LossScale

LINES = {"precision": "fp16", "freeze": "[stem]", "optimizer": "SGD(lr = 0.1, momentum = 0.9)", "steps": "8"}


def test_updates_are_those_of_gradscaler(tmp_path: Path) -> None:
    """A twin by hand, without what is drawn: its first scale is too large, and updates are left out until one fits."""
    spec = SPEC.replace(" -> Dropout(0.1)", "").replace(" -> Dropout(0.2)", "").replace("= cross", "= 50 * cross")
    made = program(spec, **{**LINES, "optimizer": "RMSprop(lr = 1e-3, momentum = 0.9)"})
    run = trained(tmp_path / "run", made)
    model = made.make_model().train()
    made.recipe.freeze(model)
    optimizer = made.recipe.optimizer(model)
    scaler = torch.amp.GradScaler("cpu")
    order, split, left_out = Order(0, 20, 8), Pictures(20), []
    for step in range(8):
        epoch, ids = order.batch_of(step)
        batch = split.batch(epoch, ids)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            logits = model(batch["image"])
        scaler.scale(50 * cross_entropy(logits.float(), batch["label"])).backward()
        before = scaler.get_scale()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        left_out.append(scaler.get_scale() < before)
    assert 0 < sum(left_out) < 8
    for name, tensor in tensors(run, 8).items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    lines = [line for line in measures(run) if line["split"] == "train"]
    assert [line["gradient_norm"] is None for line in lines] == left_out
    state = json.loads((run / "checkpoints" / "step-000008" / "state.json").read_text())
    assert state["optimizer"]["scale"] == {"value": scaler.get_scale(), "made": left_out[::-1].index(True)}


@pytest.mark.parametrize("lines", [{}, {"accumulate": "2", "clip": "0.5", "ema": "0.9"}], ids=["plain", "more"])
def test_the_scale_resumes_to_the_bit(lines: dict[str, str], tmp_path: Path) -> None:
    assert_resumes(tmp_path, program(**{**LINES, **lines}), stop=3)


def test_a_scale_grows_after_many_updates_and_ends_at_1() -> None:
    scale = LossScale(4.0)
    for _ in range(GROWS_AFTER):
        assert scale.value == 4.0
        scale.grow()
    assert (scale.value, scale.made) == (8.0, 0)
    assert [scale.shrink() for _ in range(4)] == [True, True, True, False]


def test_a_gradient_that_overflows_at_any_scale_is_no_number(tmp_path: Path) -> None:
    """The loss is finite, and its gradient is none in float16."""
    made = program(SPEC.replace("cross_entropy(", "1e12 * cross_entropy("), **{**LINES, "steps": "30"})
    with pytest.raises(Diverged, match="the gradient is not a finite number"):
        trained(tmp_path / "run", made)
    kept = [line for line in measures(tmp_path / "run") if line["split"] == "train"]
    assert [line["gradient_norm"] for line in kept] == [None] * 16


def test_a_run_in_another_precision_goes_on_in_fp16(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", program(**{**LINES, "precision": "bf16"}), until=3)
    assert resume(program(**LINES), run, open_data=open_pictures).finished == "steps"


def test_no_gradient_is_made_before_the_scale_is_known() -> None:
    """A model that computes its loss makes the gradients of it in the forward pass."""
    pytest.importorskip("libcst")
    text = """\
dlspec 1
model Lm: (tokens: int[B, T <= 64]) -> (logits: [B, T, 256]) { Embedding(256, 64) -> Linear(256) }
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 64)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 1
  batch = 1
  kernels = triton
  precision = PRECISION
}
"""
    in_model = {
        p: "in_model" in (compile(text.replace("PRECISION", p)).settings or {})["loss"] for p in ("bf16", "fp16")
    }
    assert in_model == {"bf16": True, "fp16": False}
