"""Models whose linear layers have kernels: what the emitted module says, its operators, that it computes the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.func import functional_call
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint
from triton_files import TRACED, Poisoned, always, as_on_a_gpu, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

FUNCTIONS = """\
squared(x) = max(x, 0) ^ 2
cap(x, limit = 30) = limit * tanh(x / limit)
twice(x) = 2 * x + 1
steps(x) = floor(x)
one(x) = x ^ 0
"""
ACTIVATIONS = ("gelu", "gelu(approximate = tanh)", "silu", "swish(1.5)", "mish", "squared", "cap(limit = 5)")


def spec(body: str) -> str:
    return f"dlspec 1\n{FUNCTIONS}model Net: (x: [B, T, 16]) -> (y: [B, T, 24]) {{\n {body}\n}}\n"


def mlp(activation: str) -> str:
    return spec(f"fc: Linear(40) -> {activation} -> proj: Linear(24)")


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def run(model: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = model(x)
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *parameters], d)]


def ran(model: nn.Module, x: Tensor) -> list[Tensor]:
    return run(model, list(model.parameters()), x)


def drawn(text: str) -> tuple[Any, Any, ModuleType, Tensor]:
    """The model without kernels and with them, with equal weights, the kernels' module, an x."""
    first = load_text("net", compiled(text, "torch").model_code).Net()
    module, kernels = loaded(compiled(text))
    generator = torch.Generator().manual_seed(2)
    for parameter in first.parameters():
        nn.init.normal_(parameter, std=0.4, generator=generator)
    second = module.Net()
    second.load_state_dict(first.state_dict(), strict=True)
    return first, second, kernels, torch.randn(2, 5, 16, generator=generator)


def equal(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_as_the_plain_form_and_as_the_model_without(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels, x = drawn(mlp(activation))
    assert equal(ran(second, x), ran(first, x))
    exact = ran(first.double(), x.double())
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = ran(second, x)
    for ours, d in zip(found, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - d).abs().max() <= 1e-5 * (1 + d.abs().max())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
@pytest.mark.parametrize("activation", ["gelu", "squared"])
def test_half_precision_by_the_rule(activation: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twice the error of PyTorch at the same precision, against float64."""
    first, second, kernels, x = drawn(mlp(activation))
    second, x = second.to(dtype), x.to(dtype)
    first.load_state_dict(second.state_dict())
    exact, pytorch = ran(first.double(), x.double()), ran(second, x)
    monkeypatch.setattr(kernels, "fused", always)
    for ours, theirs, d in zip(ran(second, x), pytorch, exact, strict=True):
        assert ours.dtype == dtype
        one_rounding = torch.finfo(dtype).eps * d.abs().max()
        assert (ours - d).abs().max() <= torch.maximum(2 * (theirs - d).abs().max(), one_rounding)


def test_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradients of weights have their dtype, and are at most twice as far from the truth as PyTorch's."""
    first, second, kernels, x = drawn(mlp("gelu"))
    with torch.autocast("cpu", torch.bfloat16):
        pytorch = ran(second, x)
        monkeypatch.setattr(kernels, "fused", always)
        found = ran(second, x)
    exact = ran(first.double(), x.double())
    for ours, theirs, d in zip(found, pytorch, exact, strict=True):
        assert ours.dtype == theirs.dtype
        assert (ours - d).abs().max() <= max(2 * (theirs - d).abs().max(), 2**-8 * d.abs().max())


# --- What becomes one step ---

WRITTEN = {
    "one behind the other": (
        "a: Linear(8) -> gelu -> b: Linear(24) -> silu",
        ["gelu_linear(x, self.a)", "silu_linear"],
    ),
    "in a residual": (
        "h: Linear(24)\n residual { a: Linear(24) -> gelu }",
        ["self.h(x)", "h + gelu_linear(h, self.a)"],
    ),
    "recomputed": ("h: Linear(24)\n checkpoint { a: Linear(24) -> gelu }", ["gelu_linear(h, self.a)"]),
    "in copies": ("h: Linear(24)\n r: repeat(2) { a: Linear(24) -> gelu }", ["gelu_linear(x, self.a)"]),
    "over and over": ("h: Linear(24)\n share(2) { a: Linear(24) -> gelu }", ["gelu_linear(h, self.a)"]),
    "with and without": ("h: Linear(24)\n a: Linear(24) -> gelu\n a", ["gelu_linear(h, self.a)", "self.a("]),
    "before a gate": ("h: Linear(24) -> gelu\n (g: Linear(24) -> silu) * u: Linear(24)", ["gelu_linear(x, self.h)"]),
    "a weight of another": ("a: Linear(16)\n b: Linear(16, weight = a.weight) -> gelu -> Linear(24)", ["gelu_linear"]),
}
LEFT = {
    "without a bias": "a: Linear(24, bias = false) -> gelu",
    "keeps its result": "a: Linear(24) -> relu\n b: Linear(24) -> tanh",
    "read elsewhere": "Linear(24) as u\n v = u -> gelu\n u + v",
    "along an axis": "a: Linear(24) -> softmax",
    "with weights": "a: Linear(24) -> PReLU",
    "of one slope": "a: Linear(24) -> twice",
    "of no slope": "a: Linear(24) -> steps\n b: Linear(24) -> one",
}


@pytest.mark.parametrize(("body", "written"), WRITTEN.values(), ids=WRITTEN.keys())
def test_one_step(body: str, written: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = spec(body)
    code = compiled(text).model_code
    for line in written:
        assert line in code
    first, second, kernels, x = drawn(text)
    want = ran(first, x)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, ran(second, x), strict=True):
        assert (a - b).abs().max() <= 2e-5 * (1 + a.abs().max())


@pytest.mark.parametrize("body", LEFT.values(), ids=LEFT.keys())
def test_left_as_it_is(body: str) -> None:
    assert not re.search(r"\b(?!init_)\w+_linear\(", compiled(spec(body)).model_code)


def test_few_rows_have_no_kernels() -> None:
    text = "dlspec 1\nmodel Net: (x: [B, 16]) -> (y: [B, 24]) { Linear(40) -> gelu -> Linear(24) }\n"
    assert not compiled(text).kernels


def test_weights_start_as_without_and_have_the_same_names() -> None:
    text = mlp("gelu")
    models = [load_text("net", compiled(text, "torch").model_code).Net(), loaded(compiled(text))[0].Net()]
    for model in models:
        model.init_weights(torch.Generator().manual_seed(0))
    first, second = (model.state_dict() for model in models)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- What was changed ---


def hooked(register: str, value: Callable[..., Any]) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for name in ("fc", "proj"):
            getattr(model.get_submodule(name), register)(value)

    return change


def normed(model: Any) -> None:
    torch.manual_seed(1)
    spectral_norm(model.fc)
    spectral_norm(model.proj)


def without_its_bias(model: Any) -> None:
    model.fc.bias = None
    model.proj.bias = None


def with_another_forward(model: Any) -> None:
    plain = model.fc.forward
    model.fc.forward = lambda x: 3 * plain(x)


CHANGES = {
    "a hook": hooked("register_forward_hook", lambda _, __, y: y * 2),
    "a hook before": hooked("register_forward_pre_hook", lambda _, given: (given[0] * 2,)),
    "a hook backward": hooked("register_full_backward_hook", lambda _, d_x, __: (d_x[0] * 2,)),
    "no bias": without_its_bias,
    "another forward": with_another_forward,
    "a parametrization": normed,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_has_the_effect_that_it_has_without_kernels(
    change: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    before = ran(theirs, x)
    change(theirs)
    change(ours)
    want = ran(theirs, x)
    assert not torch.equal(want[0], before[0]) or not equal(want, before)
    for a, b in zip(ran(ours, x), want, strict=True):
        assert (a - b).abs().max() <= 2e-5 * (1 + b.abs().max())


class Quantised(Tensor):
    """A weight that decides itself what a product with it is."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [one.as_subclass(Tensor) if isinstance(one, Quantised) else one for one in args]
        return 2 * func(*given, **(kwargs or {})) if func is F.linear else super().__torch_function__(func, types, args)


def test_a_weight_of_another_kind_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    before = theirs(x)
    for model in (theirs, ours):
        for layer in (model.fc, model.proj):
            layer.weight = nn.Parameter(layer.weight.detach().as_subclass(Quantised), requires_grad=False)
    assert torch.equal(ours(x), theirs(x)) and not torch.equal(ours(x), before)


def test_weights_put_in_for_a_call_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    weights = {name: torch.randn(one.shape) for name, one in theirs.named_parameters()}
    assert torch.allclose(functional_call(ours, weights, x), functional_call(theirs, weights, x), atol=1e-5)


@pytest.mark.parametrize("frozen", [["x"], ["fc"], ["fc.bias", "proj.bias"], ["fc.weight", "proj.weight"]])
def test_what_is_frozen_gets_no_gradient(frozen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    found: list[dict[str, Tensor | None]] = []
    for model in (theirs, ours):
        given = x.clone().requires_grad_("x" not in frozen)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not any(name.startswith(one) for one in frozen))
        model(given).square().sum().backward()
        found.append({"x": given.grad} | {name: parameter.grad for name, parameter in model.named_parameters()})
    for name, want in found[0].items():
        got = found[1][name]
        assert (got is None) == (want is None) == any(name.startswith(one) for one in frozen)
        if got is not None and want is not None:
            assert (got - want).abs().max() <= 2e-5 * (1 + want.abs().max())


# --- What stands around a model ---


@pytest.mark.parametrize("autocast", [False, True], ids=["", "under autocast"])
def test_recomputed_and_compiled(autocast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    weights = list(ours.parameters())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        want = run(ours, weights, x)
        again = run(lambda x: checkpoint(ours, x, use_reentrant=False), weights, x)
        torch._dynamo.reset()
        whole = run(torch.compile(ours, **TRACED), weights, x)
    assert equal(again, want) and equal(whole, want)


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")  # nn.Linear gives a view there, too
@pytest.mark.parametrize("alone", [False, True], ids=["whole", "and each layer by itself"])
def test_sharded(alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    want = ran(theirs, x)
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        for layer in (ours.fc, ours.proj) if alone else ():
            fully_shard(layer, mesh=mesh)
        fully_shard(ours, mesh=mesh)
        given = x.clone().requires_grad_()
        y = ours(given)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(3)))
        gradients = [parameter.grad.full_tensor() for parameter in ours.parameters()]
    finally:
        distributed.destroy_process_group()
    assert given.grad is not None
    for a, b in zip([y, given.grad, *gradients], want, strict=True):
        assert (a - b).abs().max() <= 2e-5 * (1 + b.abs().max())


def test_any_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views, what is spread out, nothing at all."""
    theirs, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", as_on_a_gpu)
    cases = {
        "turned": x.transpose(0, 1),
        "spread": x[:1].expand(3, 5, 16),
        "every other": torch.randn(4, 10, 32)[::2, ::2, ::2],
        "one row": x[:1, :1],
        "nothing": x[:0],
    }
    for name, given in cases.items():
        for a, b in zip(ran(ours, given), ran(theirs, given), strict=True):
            assert a.shape == b.shape, name
            torch.testing.assert_close(a, b, atol=2e-5, rtol=2e-5, msg=name)


def test_checks_of_pytorch() -> None:
    _, _, kernels, _ = drawn(mlp("gelu"))
    operators = kernels.operators
    for dtype in (torch.float32, torch.bfloat16):
        x, d_y = torch.randn(2, 3, 5, 24).to(dtype)
        torch.library.opcheck(operators.column_sums.default, (x[0], torch.float32))
        torch.library.opcheck(operators.activation_forward.default, (x,))
        torch.library.opcheck(operators.activation_backward.default, (d_y, x, torch.float32))


def test_no_second_derivative_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours, kernels, x = drawn(mlp("gelu"))
    monkeypatch.setattr(kernels, "fused", always)
    x = x.requires_grad_()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(ours(x).square().sum(), x, create_graph=True)


@pytest.mark.parametrize("body", [mlp("gelu"), mlp("cap"), spec("SelfAttention(2) -> Linear(24)")])
def test_the_files_are_as_ruff_has_them(body: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(body).files, tmp_path)


def test_sums_of_columns_are_there_for_biases_alone() -> None:
    """Once for all that have one; not where there is none."""
    text = compiled(spec("SelfAttention(2) -> a: Linear(24) -> gelu -> Linear(24)")).kernels["net_kernels.py"]
    assert text.count("def sum_columns(") == text.count("def launch_column_sums(") == 1
    without = compiled(spec("SelfAttention(2, bias = false) -> Linear(24, bias = false)")).kernels["net_kernels.py"]
    assert "column" not in without.partition("def linears(")[2] and "sum_columns" not in without
