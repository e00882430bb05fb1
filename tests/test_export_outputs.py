"""`outputs` of an ONNX export: a file of some outputs, with what they need and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from python_layer_cases import SPEC as NET
from python_layer_cases import WAVELET

import dlspec
from dlspec.runtime.onnx_session import open_onnx

SPEC = """dlspec 1

model Pair: (seen: [B, 6], asked: [B, 4]) -> (code: [B, 3], answer: [B, 2]) {
  seen -> encoder: Linear(3) -> tanh as code
  concat(code, asked) -> head: Linear(2) as answer
}

train Pair {
  data      = arrays("pairs.npz")
  loss      = mse(answer, data.wanted)
  optimizer = SGD(lr = 0.1)
  steps     = 3
  batch     = 8
}

export Pair {
  onnx("coder.onnx", outputs = [code])
  onnx("whole.onnx")
}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    draw = np.random.default_rng(3)
    arrays: dict[str, Any] = {name: draw.standard_normal((40, n)).astype(np.float32) for name, n in SIZES.items()}
    np.savez(tmp_path / "pairs.npz", **arrays)
    (tmp_path / "pair.dlspec").write_text(SPEC)
    return dlspec.train(tmp_path / "pair.dlspec", tmp_path / "run", device="cpu").run


SIZES = {"seen": 6, "asked": 4, "wanted": 2}


def test_the_file_holds_what_was_asked_for_and_what_that_needs(run: Path, tmp_path: Path) -> None:
    report = dlspec.export(run, tmp_path / "out")
    assert report["files"]["coder.onnx"]["proof"]["ok"] and report["files"]["whole.onnx"]["proof"]["ok"]
    compared = report["files"]["coder.onnx"]["proof"]["stages"][0]["comparisons"]
    assert {one["output"] for one in compared} == {"code"}
    model = onnx.load(tmp_path / "out" / "coder.onnx")
    assert [value.name for value in model.graph.input] == ["seen"]
    assert [value.name for value in model.graph.output] == ["code"]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert {name for name in weights if name.startswith(("encoder", "head"))} == {"encoder.weight", "encoder.bias"}
    given = np.random.default_rng(4).standard_normal((5, 6)).astype(np.float32)
    session = open_onnx(tmp_path / "out" / "coder.onnx")
    expected = np.tanh(given.astype(np.float64) @ weights["encoder.weight"].T + weights["encoder.bias"])
    np.testing.assert_allclose(session.run({"seen": given})["code"], expected, rtol=0, atol=1e-6)


def test_the_file_says_what_it_holds(run: Path, tmp_path: Path) -> None:
    dlspec.export(run, tmp_path / "out")
    session = open_onnx(tmp_path / "out" / "coder.onnx")
    assert [port.name for port in session.metadata.inputs] == ["seen"]
    assert [port.name for port in session.metadata.outputs] == ["code"]
    result = session.run({"seen": np.zeros((2, 6), np.float32)})
    assert list(result) == ["code"] and result["code"].shape == (2, 3)


@pytest.mark.slow
def test_so_does_the_file_of_a_model_with_layers_in_python(tmp_path: Path) -> None:
    """PyTorch's exporter writes that one."""
    pytest.importorskip("onnxscript")
    spec = NET.replace("(logits: [B, 10])", "(coarse: [B, 4, 8], logits: [B, 10])")
    spec = spec.replace("kind = mean)", "kind = mean) as coarse").replace(
        "head: Linear(10)", "head: Linear(10) as logits"
    )
    (tmp_path / "net.dlspec").write_text(spec.replace('onnx("net.onnx")', 'onnx("net.onnx", outputs = [coarse])'))
    (tmp_path / "wavelet.py").write_text(WAVELET)
    run = dlspec.train(tmp_path / "net.dlspec", tmp_path / "run", device="cpu", allow_python=True).run
    report = dlspec.export(run, tmp_path / "out", formats=["onnx"], allow_python=True)
    assert report["files"]["net.onnx"]["proof"]["ok"]
    model = onnx.load(tmp_path / "out" / "net.onnx")
    assert [value.name for value in model.graph.output] == ["coarse"]
    assert not [tensor.name for tensor in model.graph.initializer if tensor.name.startswith("head")]
    assert [port.name for port in open_onnx(tmp_path / "out" / "net.onnx").metadata.outputs] == ["coarse"]
