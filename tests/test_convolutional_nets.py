"""Published convolutional networks have their published sizes, and a small one is trained, proved and resumed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cli_cases import Write, json_of, write

from dlspec import compile
from dlspec.cli.main import main

__all__ = ["write"]  # a fixture

LENET = """dlspec 1
# LeNet-5 (LeCun et al. 1998), as it is usually built.

model LeNet5: (image: [B, 1, 32, 32]) -> (logits: [B, 10]) {
  conv1: Conv2d(6, kernel = 5)  -> tanh -> avg_pool(2)
  conv2: Conv2d(16, kernel = 5) -> tanh -> avg_pool(2)
  flatten
  fc1: Linear(120) -> tanh
  fc2: Linear(84)  -> tanh
  fc3: Linear(10)
}
"""

ALEXNET = """dlspec 1
# AlexNet (Krizhevsky 2014), the one tower.

classes = 1000

model AlexNet: (image: [B, 3, H, W]) -> (logits: [B, classes]) {
  features: {
    Conv2d(64, kernel = 11, stride = 4, pad = 2) -> relu -> max_pool(3, stride = 2)
    Conv2d(192, kernel = 5, pad = 2) -> relu -> max_pool(3, stride = 2)
    Conv2d(384, kernel = 3, pad = 1) -> relu
    Conv2d(256, kernel = 3, pad = 1) -> relu
    Conv2d(256, kernel = 3, pad = 1) -> relu -> max_pool(3, stride = 2)
  }
  adaptive_avg_pool(6) -> flatten
  Dropout(0.5) -> fc1: Linear(4096) -> relu
  Dropout(0.5) -> fc2: Linear(4096) -> relu
  fc3: Linear(classes)
}
"""

VGG = """dlspec 1
# VGG-16 (Simonyan and Zisserman 2015).

classes = 1000

block Stage(width, depth) {
  repeat(depth) { conv: Conv2d(width, kernel = 3, pad = same) -> relu }
  max_pool(2)
}

model VGG16: (image: [B, 3, H, W]) -> (logits: [B, classes]) {
  features: { Stage(64, 2) -> Stage(128, 2) -> Stage(256, 3) -> Stage(512, 3) -> Stage(512, 3) }
  adaptive_avg_pool(7) -> flatten
  fc1: Linear(4096) -> relu -> Dropout(0.5)
  fc2: Linear(4096) -> relu -> Dropout(0.5)
  fc3: Linear(classes)
}
"""

RESNET = """dlspec 1
# ResNet-18 (He et al. 2016).

classes = 1000

default Conv2d(bias = false)

block Basic(out, stride = 1) {
  residual(skip = project(out, stride)) {
    conv1: Conv2d(out, kernel = 3, stride = stride, pad = 1) -> norm1: BatchNorm -> relu
    conv2: Conv2d(out, kernel = 3, pad = 1)                  -> norm2: BatchNorm
  }
  relu
}

model ResNet18: (image: [B, 3, H, W]) -> (logits: [B, classes]) {
  stem: {
    conv: Conv2d(64, kernel = 7, stride = 2, pad = 3) -> norm: BatchNorm -> relu
    max_pool(3, stride = 2, pad = 1)
  }
  stage1: { Basic(64) -> Basic(64) }
  stage2: { Basic(128, stride = 2) -> Basic(128) }
  stage3: { Basic(256, stride = 2) -> Basic(256) }
  stage4: { Basic(512, stride = 2) -> Basic(512) }
  mean(over = [H, W])
  head: Linear(classes)
}
"""

DIGITS = """dlspec 1
# A small network with all that has running statistics or acts in training only.

model Net: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  conv1: Conv2d(16, kernel = 3, pad = same, bias = false) -> norm1: BatchNorm -> relu -> max_pool(2)
  conv2: Conv2d(32, kernel = 3, pad = same, bias = false) -> norm2: BatchNorm -> relu
  se: SqueezeExcite(8) -> DropPath(0.1) -> GaussianNoise(0.05)
  flatten -> norm3: BatchNorm -> head: Linear(10)
}

train Net {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  metrics   = [accuracy(logits, data.label)]
  optimizer = AdamW(lr = 1e-2, decay = 0.1)
  schedule  = warmup(5) -> cosine(to = 0)
  steps     = 40
  batch     = 64
}

export Net {
  onnx("net.onnx")
  torchscript("net.pt")
}
"""


@pytest.mark.no_torch
@pytest.mark.parametrize(
    ("spec", "parameters"),
    [(LENET, 61_706), (ALEXNET, 61_100_840), (VGG, 138_357_544), (RESNET, 11_689_512)],
    ids=["LeNet-5", "AlexNet", "VGG-16", "ResNet-18"],
)
def test_a_published_network_has_its_published_size(
    spec: str, parameters: int, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", write(spec), "--json"]) == 0
    found = json_of(capsys)
    assert found["parameters"] == found["trainable_parameters"] == parameters
    assert sum(layer["parameters"] for layer in found["layers"]) == parameters


@pytest.mark.no_torch
def test_it_is_emitted_as_one_would_write_it() -> None:
    code = compile(RESNET).model_code
    assert "self.conv = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)" in code
    assert "return F.max_pool2d(F.relu(self.norm(x)), 3, stride=2, padding=1)" in code
    assert re.search(r"nn\.Conv2d\(\s*in_features, out, kernel_size=3, stride=stride, padding=1, bias=False\s*\)", code)


@pytest.mark.slow
def test_running_statistics_are_trained_kept_proved_and_resumed(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decay does not act on them, evaluation and exports use them, a resumed run goes on with them bit by bit."""
    spec = write(DIGITS)
    assert main(["train", spec, "--run", "run"]) == 0
    assert main(["evaluate", "run", "--json"]) == 0
    capsys.readouterr()
    assert main(["export", "run", "-o", "out"]) == 0
    report = json.loads((tmp_path / "out" / "export_report.json").read_text())
    assert all(file["proof"]["ok"] for file in report["files"].values())
    assert set(report["files"]) == {"net.onnx", "net.pt"}
    assert main(["export", "run", "-o", "beside", "--weights", "reference"]) == 0
    assert main(["verify-resume", spec, "--steps", "8"]) == 0
    (recipe,) = (tmp_path / "run").glob("**/net_recipe.py")
    assert '[p for p in parameters if p.ndim < 2], "weight_decay": 0.0' in recipe.read_text()


def test_one_entry_has_no_variance(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(DIGITS)
    assert main(["train", spec, "--run", "run", "--set", "train.batch=4", "--set", "train.accumulate=4"]) == 1
    err = capsys.readouterr().err
    assert "a channel has one entry in what is computed at once" in err
    assert "Take a larger `batch` or a smaller `accumulate`" in err


SOUNDS = """dlspec 1
model Net: (x: [B, 2, T]) -> (y: [B, 3]) {
  NORM -> mean(over = 2) -> Linear(3)
}
train Net {
  data      = arrays("sounds.npz")
  loss      = cross_entropy(y, data.label)
  optimizer = SGD(lr = 0.1)
  steps     = 1
  batch     = 4
}
"""


@pytest.mark.parametrize(
    ("norm", "refused"), [("InstanceNorm", [(1, 1), (2, 1)]), ("GroupNorm(2)", [(1, 1)]), ("BatchNorm", [])]
)
def test_a_prediction_of_one_entry_has_no_variance_either(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path, norm: str, refused: list[tuple[int, int]]
) -> None:
    """In evaluation a BatchNorm has that of the training; PyTorch's GroupNorm looks at the whole batch."""
    import numpy as np  # the half without torch has none

    np.savez(tmp_path / "sounds.npz", x=np.arange(96, dtype=np.float32).reshape(8, 2, 6), label=np.arange(8) % 3)
    assert main(["train", write(SOUNDS.replace("NORM", norm)), "--run", "run", "--device", "cpu"]) == 0
    capsys.readouterr()
    for count, length in ((1, 1), (2, 1), (1, 2), (2, 2)):
        np.save(tmp_path / "in.npy", np.ones((count, 2, length), np.float32))
        code = main(["predict", "run", "--input", "in.npy"])
        said = capsys.readouterr()
        if (count, length) in refused:
            assert code == 1
            assert said.err.splitlines() == [
                "error: a norm takes the variance over the entries of each channel, "
                "and in what comes in a channel has one",
                "  = help: Give it longer or larger inputs.",
            ]
        else:
            assert code == 0 and len(said.out.splitlines()) == count, said.err


def test_statistics_lie_in_the_checkpoint_and_in_the_onnx_file(write: Write, tmp_path: Path) -> None:
    import onnx
    from safetensors.numpy import load_file

    assert main(["train", write(DIGITS), "--run", "run", "--set", "train.steps=10"]) == 0
    assert main(["export", "run", "-o", "out", "--to", "onnx"]) == 0
    weights = load_file(next((tmp_path / "run" / "checkpoints").glob("step-*/model.safetensors")))
    assert weights["norm1.num_batches_tracked"] == 10
    assert abs(weights["norm3.running_mean"]).max() > 0
    stored = {
        one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(tmp_path / "out" / "net.onnx").graph.initializer
    }
    for name in ("norm1", "norm2", "norm3"):
        for key in ("running_mean", "running_var"):
            assert (stored[f"{name}.{key}"] == weights[f"{name}.{key}"]).all()
        assert f"{name}.num_batches_tracked" not in stored
