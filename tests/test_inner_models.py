"""Models inside the one that is trained are exported by their own names, with their weights, each with a proof."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import dlspec
from dlspec.cli.main import main
from dlspec.runtime import Refused

SPEC = """\
dlspec 1
model Half: (x: [B, D8]) -> (h: [B, 16]) { up: Linear(16) -> BatchNorm -> relu }
model Head: (h: [B, 16]) -> (logits: [B, 10]) { Linear(10) }
model Whole: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  flatten -> first: Half -> parts: { head: Head }
}
train Whole {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-2)
  steps     = 4
  batch     = 64
}
export Half { onnx("half.onnx") }
export Head { onnx("head.onnx") }
""".replace("D8", "64")


def trained(folder: Path, text: str = SPEC) -> Path:
    spec = folder / "whole.dlspec"
    spec.write_text(text)
    return dlspec.train(spec, folder / "run").run


def test_each_holds_its_own_weights_and_together_they_are_the_whole(tmp_path: Path) -> None:
    run = trained(tmp_path)
    report = dlspec.export(run, tmp_path / "out")
    assert set(report["files"]) == {"half.onnx", "head.onnx"}
    assert all(one["proof"]["ok"] for one in report["files"].values())
    ort = pytest.importorskip("onnxruntime")
    image = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)
    half, head = (ort.InferenceSession(tmp_path / "out" / f"{name}.onnx") for name in ("half", "head"))
    (h,) = half.run(None, {"x": image.reshape(5, 64)})
    (logits,) = head.run(None, {"h": h})
    with torch.no_grad():
        expected = dlspec.load(run)(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_file_says_what_its_model_takes(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    dlspec.export(trained(tmp_path), tmp_path / "out")
    model = onnx.load(tmp_path / "out" / "half.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert [port["name"] for port in json.loads(said["dlspec.inputs"])] == ["x"]
    assert {weight.name for weight in model.graph.initializer} >= {"up.weight", "up.bias", "batch_norm.running_var"}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="PyTorch's TorchScript has no Python 3.14")
def test_formats_that_are_asked_for_are_of_the_models_that_ship(tmp_path: Path) -> None:
    report = dlspec.export(trained(tmp_path), tmp_path / "out", formats=["torchscript"])
    assert set(report["files"]) == {"half.pt", "head.pt"}
    both = dlspec.export(
        trained_anew(tmp_path, SPEC + 'export Whole { onnx("whole.onnx") }\n'), tmp_path / "both", formats=["onnx"]
    )
    assert set(both["files"]) == {"half.onnx", "head.onnx", "whole.onnx"}


def trained_anew(folder: Path, text: str) -> Path:
    spec = folder / "anew.dlspec"
    spec.write_text(text)
    return dlspec.train(spec, folder / "anew").run


def test_weights_by_reference_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    run = trained(tmp_path)
    assert main(["export", str(run), "-o", str(tmp_path / "out"), "--weights", "reference"]) == 0
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_model_that_stands_twice_has_two_sets_of_weights(tmp_path: Path) -> None:
    text = SPEC.replace("first: Half", "one: Half -> two: { Linear(64) -> Half }").replace(
        "parts: { head: Head }", "Head"
    )
    with pytest.raises(
        Refused, match=r"Half stands 2 times in Whole, each with weights of its own: `one`, `two\.half_layer`"
    ):
        dlspec.export(trained(tmp_path, text), tmp_path / "out")
    assert not (tmp_path / "out").exists()
