"""Models whose norms have kernels: the emitted file, its operators, and what they compute against the model without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from triton_files import TRACED, Poisoned, always, as_on_a_gpu, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

NORMS = {
    "LayerNorm": "LayerNorm",
    "without bias": "LayerNorm(bias = false, eps = 1e-3)",
    "RMSNorm": "RMSNorm",
    "with an offset": "RMSNorm(offset = 1, eps = 1e-5)",
}
WIDTHS = {"wide": 9000, "one row a program": 3000, "several": 20, "one entry": 1, "a power of two": 64}


def spec(norm: str, width: int) -> str:
    return f"dlspec 1\nmodel Net: (x: [B, T, {width}]) -> (y: [B, T, {width}]) {{ x -> norm: {norm} as y }}\n"


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting(), Poisoned():
        yield


def drawn(model: nn.Module, width: int) -> Tensor:
    """What comes in, after weights that are not what norms begin with."""
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return torch.randn(3, 7, width, generator=generator)


def run(model: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = model(x)
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *model.parameters()], d)]


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())
def test_as_the_plain_form_and_as_the_model_without(norm: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without = load_text("net", compiled(spec(norm, width), "torch").model_code)
    module, kernels = loaded(compiled(spec(norm, width)))
    first, second = without.Net(), module.Net()
    x = drawn(first, width)
    second.load_state_dict(first.state_dict(), strict=True)
    want, plain = run(first, x), run(second, x)
    exact = run(first.double(), x.double())
    monkeypatch.setattr(kernels, "fused", always)
    found = run(second, x)
    for a, b, c, d in zip(want, plain, found, exact, strict=True):
        assert torch.equal(a, b)
        allowed = 1e-5 * (1 + d.abs().max().item()) * max(1.0, width**0.5 / 8)
        assert (c - d).abs().max().item() <= allowed


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())
def test_half_precision_by_the_rule(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twice the error of PyTorch at the same precision, against float64."""
    module, kernels = loaded(compiled(spec(norm, 100)))
    model = module.Net()
    x = drawn(model, 100).bfloat16()
    model = model.bfloat16()
    exact = run(load_text("net", compiled(spec(norm, 100), "torch").model_code).Net().double(), x.double())
    reference = load_text("net", compiled(spec(norm, 100), "torch").model_code).Net()
    reference.load_state_dict(model.state_dict())
    exact = run(reference.double(), x.double())
    pytorch = run(model, x)
    monkeypatch.setattr(kernels, "fused", always)
    for ours, theirs, d in zip(run(model, x), pytorch, exact, strict=True):
        assert ours.dtype == torch.bfloat16
        one_rounding = 2**-8 * d.abs().max().item()
        assert (ours - d).abs().max().item() <= max(2 * (theirs - d).abs().max().item(), one_rounding)


def test_views_and_empty_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(spec("LayerNorm", 20)))
    model = module.Net()
    x = drawn(model, 20)
    want = run(model, x.transpose(0, 1))
    monkeypatch.setattr(kernels, "fused", as_on_a_gpu)
    for a, b in zip(run(model, x.transpose(0, 1)), want, strict=True):
        assert (a - b).abs().max().item() <= 2e-5
    assert model(torch.empty(0, 7, 20)).shape == (0, 7, 20)


def test_attention_and_norms_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind has names of its own, and each kind is numbered by itself."""
    text = """\
dlspec 1
model Net: (x: [B, T <= 64, 32]) -> (y: [B, T, 32]) {
  LayerNorm -> SelfAttention(2, causal = true, qk_norm = RMSNorm) -> LayerNorm -> RMSNorm -> LayerNorm(eps = 0.1) as y
}
"""
    artefact = compiled(text)
    kernels_text = artefact.kernels["net_kernels.py"]
    defined = [
        line.split("(")[0].split(":")[0] for line in kernels_text.splitlines() if line.startswith(("def ", "cl"))
    ]
    assert len(defined) == len(set(defined))
    assert kernels_text.count("class LayerNorm") == 1
    module, kernels = loaded(artefact)
    model = module.Net()
    model.init_weights(torch.Generator().manual_seed(0))
    x = torch.randn(2, 40, 32, generator=torch.Generator().manual_seed(1))
    want = run(model, x)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(run(model, x), want, strict=True):
        assert (a - b).abs().max().item() <= 2e-5 * (1 + b.abs().max().item())


class TestOperators:
    def test_checks_of_pytorch(self) -> None:
        for norm, extra in (("LayerNorm", ()), ("RMSNorm(offset = 1)", (1.0,))):
            _, kernels = loaded(compiled(spec(norm, 16)))
            forward, backward = kernels.operators.norm_forward, kernels.operators.norm_backward
            x, learned = torch.randn(5, 16), [torch.randn(16) for _ in range(1 if extra else 2)]
            given = (x, *learned, 1e-5, *extra, torch.float32)
            torch.library.opcheck(forward.default, given)
            y, *of_rows = forward(*given)
            torch.library.opcheck(backward.default, (torch.randn_like(y), x, learned[0], *of_rows, *extra))

    def test_compiled_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module, kernels = loaded(compiled(spec("LayerNorm", 16)))
        monkeypatch.setattr(kernels, "fused", always)
        model = module.Net()
        x = drawn(model, 16)
        want = run(model, x)
        torch._dynamo.reset()
        model.compile(**TRACED)
        for a, b in zip(run(model, x), want, strict=True):
            assert (a - b).abs().max() <= 1e-6

    def test_autocast_gives_what_pytorch_gives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Norms are computed and handed on in float32 there."""
        module, kernels = loaded(compiled(spec("LayerNorm", 16)))
        monkeypatch.setattr(kernels, "fused", always)
        x = torch.randn(2, 3, 16).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            assert module.Net()(x).dtype == torch.float32


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS.keys())
@pytest.mark.parametrize("width", [768, 12_288, 65_536])
def test_the_file_is_as_ruff_has_it(norm: str, width: int, tmp_path: Path) -> None:
    """At widths that take other ways, too."""
    hold_to_ruff(compiled(spec(norm, width)).files, tmp_path)
