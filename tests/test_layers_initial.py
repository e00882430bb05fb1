"""`init` of a layer: what its weights begin as, whatever the recipe says of the others."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dlspec import compile
from dlspec.runtime.program import load_text

LAYERS = ["Linear(64, {})", "Conv2d(64, kernel = 3, {})", "ConvTranspose2d(64, kernel = 3, {})"]


def weights_of(line: str) -> Any:
    sizes = "[B, 64]" if line.startswith("Linear") else "[B, 16, 12, 12]"
    out = {"L": "[B, 64]", "C": "[B, 64, 10, 10]"}[line[0]] if "Transpose" not in line else "[B, 64, 14, 14]"
    text = f"dlspec 1\nspread = 0.02\nmodel Net: (x: {sizes}) -> (y: {out}) {{\n  part: {line}\n}}\n"
    model: Any = load_text("net", compile(text).model_code).Net()
    model.init_weights(torch.Generator().manual_seed(0))
    return model.part


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("spread", ["0.02", "spread"])
def test_normal_has_its_deviation_and_biases_begin_as_zeros(layer: str, spread: str) -> None:
    part = weights_of(layer.format(f"init = normal({spread})"))
    assert part.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert part.weight.mean().item() == pytest.approx(0, abs=0.002)
    assert not part.bias.any()


@pytest.mark.parametrize("layer", LAYERS)
def test_zeros_and_ones(layer: str) -> None:
    assert not weights_of(layer.format("init = zeros")).weight.any()
    assert (weights_of(layer.format("bias = false, init = ones")).weight == 1).all()


def test_xavier_he_and_orthogonal_go_by_inputs_and_outputs() -> None:
    he = weights_of("Conv2d(64, kernel = 3, init = he)")
    assert he.weight.std().item() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.05)
    xavier = weights_of("Linear(64, init = xavier)")
    assert xavier.weight.abs().max().item() == pytest.approx((6 / 128) ** 0.5, rel=0.02)
    orthogonal = weights_of("Linear(64, init = orthogonal)").weight
    torch.testing.assert_close(orthogonal @ orthogonal.T, torch.eye(64), atol=1e-5, rtol=0)
