"""A function of each logit between a last Linear and its loss: the kernels that never hold the logits compute it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from loss_models import FUNCTIONS, OPTIONS, batch, drawn, gradients, spec, with_function
from triton_files import Poisoned, always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

import dlspec
from dlspec.runtime.program import load_text

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_goes_along(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_function(name, OPTIONS["all"], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("options", [options for name, options in OPTIONS.items() if name != "all"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_goes_along_with_each_option(name: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_function(name, options, monkeypatch)


def hold_function(name: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the model without kernels, bit for bit where none run; by kernels as it is in float64."""
    plain = compiled(with_function(name, options=options), "torch")
    artefact = compiled(with_function(name, options=options))
    module, kernels = loaded(artefact)
    recipe = load_text("net_recipe", plain.recipe_code or "")
    assert "return self.head(x, targets)" in artefact.model_code
    first, second = drawn(load_text("net", plain.model_code)), drawn(module)
    tokens, targets = batch()
    assert torch.equal(first(tokens), second(tokens))
    want = gradients(first, recipe.loss(first(tokens), targets))
    found = gradients(second, second(tokens, targets=targets))
    assert all(torch.equal(a, b) for a, b in zip(want, found, strict=True))
    first.double()
    exact = gradients(first, recipe.loss(first(tokens), targets))
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = gradients(second, second(tokens, targets=targets))
    for a, b in zip(exact, found, strict=True):
        torch.testing.assert_close(b.double(), a, atol=2e-5, rtol=1e-4)


def test_what_is_said_of_a_function() -> None:
    artefact = compiled(with_function("soft cap", ", bias = false"))
    kernels = artefact.kernels["net_kernels.py"]
    assert "        return 2 * torch.tanh(logits / 2)\n" in kernels
    assert "def cross_entropy_logit(x):" in kernels and "def cross_entropy_logit_by_x(x):" in kernels
    assert "def cap(" not in artefact.model_code and "cap(self.head(x), limit=2.0)" in artefact.export_code
    assert "logit(" not in compiled(spec()).kernels["net_kernels.py"]


def test_a_logit_that_is_read_elsewhere_has_its_function_apart() -> None:
    text = with_function("soft cap").replace("-> cap(limit = 2)", "as raw\n  cap(limit = 2) + 0 * raw")
    artefact = compiled(text)
    assert artefact.settings is not None and "in_model" not in artefact.settings["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_files_with_a_function_are_as_ruff_has_them(name: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(with_function(name, options=", smoothing = 0.1, z_loss = 0.01")).files, tmp_path)


@pytest.mark.slow
def test_gemma_2_never_has_its_logits() -> None:
    """The spec that is shipped: its soft cap is in the kernels, its logits are not in memory."""
    text = (Path(dlspec.__file__).parent / "specs" / "gemma2.dlspec").read_text(encoding="utf-8")
    artefact = compiled(text, "triton")
    assert artefact.settings is not None and artefact.settings["loss"]["in_model"] == {"targets": "data.targets"}
    assert "return 30 * torch.tanh(logits / 30)" in artefact.kernels[f"{artefact.name}_kernels.py"]
