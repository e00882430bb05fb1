"""Models that draw: both sides of a proof draw the same, so that what is allowed is rounding and no more."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

import dlspec
from dlspec.runtime.export.drawing import SingleDraws, drawing_alike

SPEC = """\
dlspec 1
model Gan: (image: [B, 1, 8, 8]) -> (real: [B, 1], fake: [B, 1], picture: [B, 1, 8, 8]) {
  image -> critic: { flatten -> Linear(16) -> leaky_relu(0.2) -> Linear(1) } as real
  normal([B, 16]) -> generator: { Linear(64) -> sigmoid -> reshape([B, 1, 8, 8]) } as picture
  picture -> critic as fake
}
train Gan {
  data      = digits
  optimizer = Adam(lr = 2e-3)
  phase judge {
    update = [critic]
    loss   = binary_cross_entropy_with_logits(real, 1) + binary_cross_entropy_with_logits(fake, 0)
  }
  phase forge {
    update = [generator]
    loss   = binary_cross_entropy_with_logits(fake, 1)
  }
  steps = 4
  batch = 16
}
"""


@pytest.mark.parametrize("shape", [(3,), (4, 64), (1, 7, 5)])
def test_a_model_in_float64_draws_the_numbers_of_one_in_float32(shape: tuple[int, ...]) -> None:
    with drawing_alike():
        single = torch.randn(*shape, dtype=torch.float32)
    with drawing_alike(), SingleDraws():
        double = torch.randn(*shape, device=torch.device("cpu"), dtype=torch.float64)
    assert double.dtype == torch.float64 and torch.equal(double, single.double())


def test_pytorch_by_itself_draws_others() -> None:
    with drawing_alike():
        single = torch.randn(4, 64)
    with drawing_alike():
        assert not torch.equal(torch.randn(4, 64, dtype=torch.float64).float(), single)


def test_what_is_drawn_outside_is_not_touched() -> None:
    torch.manual_seed(7)
    expected = torch.randn(4)
    torch.manual_seed(7)
    with drawing_alike():
        torch.randn(100)
    assert torch.equal(torch.randn(4), expected)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="TorchScript is not for Python 3.14")
def test_what_a_proof_allows_is_rounding(tmp_path: Path) -> None:
    spec = tmp_path / "gan.dlspec"
    spec.write_text(SPEC)
    dlspec.train(spec, run=tmp_path / "run")
    dlspec.export(tmp_path / "run", tmp_path / "out", formats=["torchscript"])
    report = json.loads((tmp_path / "out" / "export_report.json").read_text())
    text = json.dumps(report)
    assert '"picture"' in text and '"fake"' in text
    allowed = [one["allowed"] for proof in find(report, "comparisons") for one in proof]
    assert len(allowed) > 8 and max(allowed) < 1e-3, "it was 1.8 where each side drew its own"


def find(report: object, key: str) -> list[list[dict[str, float]]]:
    """What stands under a key, wherever that is."""
    if isinstance(report, list):
        return [found for each in report for found in find(each, key)]
    if not isinstance(report, dict):
        return []
    own = [report[key]] if key in report else []
    return own + [found for value in report.values() for found in find(value, key)]
