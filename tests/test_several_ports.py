"""Several inputs, outputs and losses in one recipe, by way of two models inside a third."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dlspec
from dlspec.api.compilation import program_of
from dlspec.compiler.pipeline import compile
from dlspec.grammar import Source
from dlspec.runtime import verify_resume

SPEC = """\
dlspec 1
model Trunk: (x: [B, 6]) -> (h: [B, 8], norm: [B, 1]) {
  Linear(8) -> tanh as h
  h -> Linear(1) as norm
}
model Both: (seen: [B, 6], heard: [B, 6]) -> (kind: [B, 3], size: [B, 1], spare: [B, 1]) {
  seen -> trunk: Trunk as a, size
  heard -> trunk as b, spare
  a * b -> head: Linear(3) as kind
}
train Both {
  data      = arrays("both.npz", split = [0.8, 0.2])
  loss      = cross_entropy(kind, data.label) + 0.5 * mse(size, data.length) + mse(spare, 0) / 10
  metrics   = [accuracy(kind, data.label), mse(size, data.length)]
  optimizer = SGD(lr = 0.1)
  steps     = 3
  batch     = 16
}
export Both { onnx("both.onnx") }
export Trunk { onnx("trunk.onnx") }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    floats: dict[str, Any] = {name: draw.standard_normal((40, 6)).astype(np.float32) for name in ("seen", "heard")}
    length = draw.standard_normal((40, 1)).astype(np.float32)
    np.savez(tmp_path / "both.npz", **floats, label=np.arange(40) % 3, length=length)
    (tmp_path / "both.dlspec").write_text(SPEC)
    return tmp_path


def test_the_loss_is_that_of_all_of_them(folder: Path) -> None:
    program = program_of(compile(Source("both.dlspec", SPEC)))
    kind, size, spare = torch.randn(4, 3), torch.randn(4, 1), torch.randn(4, 1)
    label, length = torch.tensor([0, 1, 2, 0]), torch.randn(4, 1)
    expected = nn.functional.cross_entropy(kind, label) + 0.5 * ((size - length) ** 2).mean() + (spare**2).mean() / 10
    found = program.recipe.loss(kind=kind, size=size, spare=spare, label=label, length=length)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_it_is_trained_and_goes_on_from_a_restart(folder: Path) -> None:
    verify_resume(program_of(compile(Source("both.dlspec", SPEC))), folder, 4, device="cpu")


def test_it_is_exported_whole_and_in_part(folder: Path) -> None:
    result = dlspec.train(folder / "both.dlspec", folder / "run")
    assert set(result.validation) == {"loss", "accuracy", "mse"}
    report = dlspec.export(result.run, folder / "out")
    assert set(report["files"]) == {"both.onnx", "trunk.onnx"}
    assert all(one["proof"]["ok"] for one in report["files"].values())
