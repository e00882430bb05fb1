"""Models with gated activations: what the emitted module says, its operators, and that it computes the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from triton_files import TRACED, Poisoned, always, as_on_a_gpu, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

FUNCTIONS = """\
limit = 5
squared_relu(x) = max(x, 0) ^ 2
cap(x, limit = 30, by = 2) = limit * (2 / (1 + exp(-2 * x / limit)) - 1) * tanh(by)
steps(x) = floor(x)
root(x) = max(x, 0) ^ 0.9
one(x) = tanh(x) ^ 0
mix(x, y) = x * sigmoid(y)
soft(x) = squared_relu(x) if x > 1 else x * sigmoid(x)
"""
ACTIVATIONS = {
    "silu": "silu",
    "gelu": "gelu",
    "gelu by tanh": "gelu(approximate = tanh)",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "swish": "swish(1.5)",
    "leaky_relu": "leaky_relu(0.2)",
    "mish": "mish",
    "own": "squared_relu",
    "own with numbers": "cap(limit = limit)",
    "own without slope": "steps",
    "own by cases": "soft",
    "own and steep": "root",
}


def spec(body: str, width: int = 16) -> str:
    return f"dlspec 1\n{FUNCTIONS}model Net: (x: [B, T, {width}]) -> (y: [B, T, 24]) {{\n {body}\n}}\n"


def gate(activation: str) -> str:
    return f"(gate: Linear(24) -> {activation}) * up: Linear(24)"


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting(), Poisoned():
        yield


def run(model: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = model(x)
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *model.parameters()], d)]


def drawn(text: str) -> tuple[nn.Module, nn.Module, object, Tensor]:
    """The model without kernels and with them, with equal weights, the kernels' module, an x."""
    first = load_text("net", compiled(text, "torch").model_code).Net()
    module, kernels = loaded(compiled(text))
    generator = torch.Generator().manual_seed(2)
    for parameter in first.parameters():
        nn.init.normal_(parameter, std=0.4, generator=generator)
    second = module.Net()
    second.load_state_dict(first.state_dict(), strict=True)
    return first, second, kernels, torch.randn(2, 5, 16, generator=generator)


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_as_the_plain_form_and_as_the_model_without(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels, x = drawn(spec(gate(activation)))
    want, plain = run(first, x), run(second, x)
    exact = run(first.double(), x.double())
    monkeypatch.setattr(kernels, "fused", always)
    for a, b, c, d in zip(want, plain, run(second, x), exact, strict=True):
        assert (a - b).abs().max() <= 1e-6 * (1 + a.abs().max())
        assert (c - d).abs().max() <= 1e-5 * (1 + d.abs().max())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("activation", ["silu", "gelu", "squared_relu"])
def test_half_precision_by_the_rule(activation: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twice the error of PyTorch at the same precision, against float64."""
    first, second, kernels, x = drawn(spec(gate(activation)))
    second, x = second.to(dtype), x.to(dtype)
    first.load_state_dict(second.state_dict())
    exact, pytorch = run(first.double(), x.double()), run(second, x)
    monkeypatch.setattr(kernels, "fused", always)
    for ours, theirs, d in zip(run(second, x), pytorch, exact, strict=True):
        assert ours.dtype == dtype
        one_rounding = torch.finfo(dtype).eps * d.abs().max()
        assert (ours - d).abs().max() <= torch.maximum(2 * (theirs - d).abs().max(), one_rounding)


# --- What becomes one step ---

WRITTEN = {
    "either side": ("up: Linear(24) * (gate: Linear(24) -> relu)", "relu_gated(self.gate(x), self.up(x))"),
    "both": ("(a: Linear(24) -> sigmoid) * (b: Linear(24) -> tanh)", "sigmoid_gated(self.a(x), self.b(x).tanh())"),
    "one value on both sides": ("Linear(24) as u\n cap(u, limit = 5) * u", "cap_gated(u, u)"),
    "in a residual": (
        "h: Linear(24)\n residual { (a: Linear(24) -> silu) * b: Linear(24) }",
        "h + silu_gated(self.a(h), self.b(h))",
    ),
    "recomputed": (
        "h: Linear(24)\n checkpoint { (a: Linear(24) -> silu) * b: Linear(24) }",
        "silu_gated(self.a(h), self.b(h))",
    ),
    "in copies": (
        "h: Linear(24)\n r: repeat(2) { (a: Linear(24) -> silu) * b: Linear(24) }",
        "silu_gated(self.a(x), self.b(x))",
    ),
    "halves": ("w: Linear(48) -> split(2) as a, b\n (a -> silu) * b", "silu_gated(self.w(x))"),
    "halves turned": ("w: Linear(48) -> split(2) as a, b\n a * (b -> silu)", "silu_gated(self.w(x))"),
    "halves, one read elsewhere": (
        "w: Linear(48) -> split(2) as a, b\n (a -> silu) * b + a",
        "silu_gated(a, b) + a",
    ),
    "two of three parts": ("w: Linear(72) -> split(3) as a, b, c\n (a -> silu) * b + c", "silu_gated(a, b) + c"),
    "over and over": (
        "h: Linear(24)\n share(2) { (a: Linear(24) -> silu) * b: Linear(24) }",
        "silu_gated(self.a(h), self.b(h))",
    ),
}
LEFT = {
    "the activation is read elsewhere": "Linear(24) -> silu as u\n v = Linear(24)\n u * v + u",
    "of another shape": "(a: Linear(1) -> sigmoid) * b: Linear(24)",
    "by a number": "(a: Linear(24) -> silu) * 2",
    "along an axis": "(a: Linear(24) -> softmax) * b: Linear(24)",
    "with weights": "(a: Linear(24) -> PReLU) * b: Linear(24)",
    "of two values": "Linear(24) as u\n Linear(24) as w\n mix(u, w) * w",
    "of no value": "(a: Linear(24) -> one) * b: Linear(24)",
    "a sum": "(a: Linear(24) -> silu) + b: Linear(24)",
}


@pytest.mark.parametrize(("body", "written"), WRITTEN.values(), ids=WRITTEN.keys())
def test_one_step(body: str, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = spec(body)
    assert f" {written}\n" in compiled(text).model_code
    first, second, kernels, x = drawn(text)
    want = run(first, x)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, run(second, x), strict=True):
        assert (a - b).abs().max() <= 1e-5 * (1 + a.abs().max())


@pytest.mark.parametrize("body", LEFT.values(), ids=LEFT.keys())
def test_left_as_it_is(body: str) -> None:
    assert "_gated" not in compiled(spec(body)).model_code


def test_names_of_the_spec_are_its_own(tmp_path: Path) -> None:
    """A function of the file may be called as ours."""
    text = (
        f"dlspec 1\nsilu_gated(x) = x + 1\nmodel Net: (x: [B, 16]) -> (y: [B, 24]) {{ {gate('silu')} -> silu_gated }}"
    )
    files = compiled(text).files
    assert "fused_silu_gated(self.gate(x), self.up(x))" in files["net.py"]
    hold_to_ruff(files, tmp_path)
    x = torch.randn(3, 16)
    plain, ours = load_text("net", compiled(text, "torch").model_code).Net(), loaded(compiled(text))[0].Net()
    ours.load_state_dict(plain.state_dict())
    assert torch.equal(plain(x), ours(x))


def test_equal_activations_share_their_kernels() -> None:
    """However their numbers are written; others have names of their own."""
    body = "\n ".join(
        f"(g{i}: Linear(24) -> {activation}) * u{i}: Linear(24)"
        for i, activation in enumerate(["silu", "cap(limit = limit)", "cap(limit = 5)", "cap", "silu"])
    )
    artefact = compiled(spec(body))
    assert "from net_kernels import Linear, cap_gated_2, cap_gated_3, silu_gated\n" in artefact.model_code
    text = artefact.kernels["net_kernels.py"]
    defined = [line.partition("(")[0] for line in text.splitlines() if line.startswith(("def ", "class "))]
    assert len(defined) == len(set(defined))
    assert sum(name.startswith("def gated_forward") and "shapes" not in name for name in defined) == 3
    assert "halves" not in text


def test_weights_start_as_without_and_have_the_same_names() -> None:
    text = spec(gate("silu"))
    models = [load_text("net", compiled(text, "torch").model_code).Net(), loaded(compiled(text))[0].Net()]
    for model in models:
        model.init_weights(torch.Generator().manual_seed(0))
    first, second = (model.state_dict() for model in models)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- The function ---


@pytest.fixture
def silu(monkeypatch: pytest.MonkeyPatch) -> object:
    """The kernels' module of a SwiGLU, which runs them for all that is not empty."""
    _, kernels = loaded(compiled(spec(gate("silu"))))
    monkeypatch.setattr(kernels, "fused", as_on_a_gpu)
    return kernels


def gradients(function: object, *inputs: Tensor) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = function(*leaves)  # type: ignore[operator]
    return [y, *torch.autograd.grad(y, leaves, torch.ones_like(y))]


def plain(gate: Tensor, up: Tensor) -> Tensor:
    return torch.nn.functional.silu(gate) * up


def test_any_tensors(silu: object) -> None:
    """More than a program has, views, one entry, none; of two dtypes PyTorch's own form."""
    both = torch.randn(70, 6, 24, generator=torch.Generator().manual_seed(5))
    cases = {
        "several programs": (both, both.flip(0)),
        "halves": both.chunk(2, -1),
        "turned": (both.transpose(0, 1), both.transpose(0, 1)),
        "spread": (both[:1].expand(3, 6, 24), both[:3]),
        "a number": (both[0, 0, 0], both[0, 0, 1]),
        "nothing": (both[:0], both[:0]),
        "two dtypes": (both.bfloat16(), both),
    }
    for name, (gate, up) in cases.items():
        for a, b in zip(gradients(silu.silu_gated, gate, up), gradients(plain, gate, up), strict=True):  # type: ignore[attr-defined]
            assert a.dtype == b.dtype, name
            assert a.shape == b.shape, name
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, msg=name)


def test_checks_of_pytorch(silu: object) -> None:
    operators = silu.operators  # type: ignore[attr-defined]
    for dtype in (torch.float32, torch.bfloat16):
        gate, up, d_out = torch.randn(3, 5, 24).to(dtype)
        torch.library.opcheck(operators.gated_forward.default, (gate, up))
        torch.library.opcheck(operators.gated_backward.default, (d_out, gate, up))


def test_halves_of_one_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several programs, views, none; and PyTorch's checks."""
    for body, order in ((WRITTEN["halves"][0], 1), (WRITTEN["halves turned"][0], -1)):
        _, kernels = loaded(compiled(spec(body)))
        monkeypatch.setattr(kernels, "fused", as_on_a_gpu)
        given = torch.randn(70, 6, 48, generator=torch.Generator().manual_seed(6))

        def halved(both: Tensor, order: int = order) -> Tensor:
            return plain(*both.chunk(2, -1)[::order])

        for both in (given, given.transpose(0, 1), given[:0], given[0, 0]):
            for a, b in zip(gradients(kernels.silu_gated, both), gradients(halved, both), strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        torch.library.opcheck(kernels.operators.gated_forward.default, (given[:3],))
        torch.library.opcheck(kernels.operators.gated_backward.default, (given[:3, :, :24], given[:3]))


def test_compiled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels, x = drawn(spec(gate("gelu")))
    monkeypatch.setattr(kernels, "fused", always)
    torch._dynamo.reset()
    second.compile(**TRACED)
    for a, b in zip(run(first, x), run(second, x), strict=True):
        assert (a - b).abs().max() <= 1e-5 * (1 + a.abs().max())


def test_autocast_gives_what_pytorch_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels, x = drawn(spec(gate("silu")))
    monkeypatch.setattr(kernels, "fused", always)
    with torch.autocast("cpu", torch.bfloat16):
        want, found = run(first, x), run(second, x)
    assert [a.dtype for a in want] == [b.dtype for b in found]
    assert found[0].dtype == torch.bfloat16
    for a, b in zip(want, found, strict=True):
        assert (a - b).abs().max() <= 0.02 * (1 + a.abs().max())


def test_no_second_derivative_is_made_up(silu: object) -> None:
    x = torch.randn(4, 24, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(silu.silu_gated(x, x).square().sum(), x, create_graph=True)  # type: ignore[attr-defined]


# --- The file ---


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_the_file_is_as_ruff_has_it(activation: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(gate(activation))).files, tmp_path)


def test_the_file_of_halves_is_as_ruff_has_it(tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(WRITTEN["halves"][0])).files, tmp_path)
