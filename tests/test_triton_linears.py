"""Linear layers of one input as one product: that it computes what they compute, and where each is called by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from triton_files import TRACED, always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

BODIES = {
    "heads": "SelfAttention(2, causal = true)",
    "without biases": "SelfAttention(2, bias = false)",
    "fewer key heads": "SelfAttention(4, kv_heads = 2)",
    "wide heads": "SelfAttention(2, head_dim = 16)",
    "rotary": "SelfAttention(4, kv_heads = 1, rotary = 10_000)",
    "memory": "m = x -> Linear(24)\n x -> CrossAttention(2, memory = m)",
    "memory and rotary": "m = x -> Linear(24)\n x -> CrossAttention(2, memory = m, rotary = 100)",
    "without kernels": "SelfAttention(2, score = x -> RelativeBias(2))",
    "norms of heads": "SelfAttention(2, qk_norm = RMSNorm)",
}


def spec(body: str) -> str:
    return f"dlspec 1\nmodel Net: (x: [B, T <= 8, 16]) -> (y: [B, T, 16]) {{\n {body}\n}}\n"


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def run(model: Callable[[Tensor], Tensor], parameters: Iterable[Tensor], x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = model(x)
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *parameters], d)]


def drawn(text: str) -> tuple[Any, Any, ModuleType, Tensor]:
    """The model without kernels and with them, with equal weights, the kernels' module, an x."""
    first = load_text("net", compiled(text, "torch").model_code).Net()
    module, kernels = loaded(compiled(text))
    generator = torch.Generator().manual_seed(2)
    for parameter in first.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    second = module.Net()
    second.load_state_dict(first.state_dict(), strict=True)
    return first, second, kernels, torch.randn(2, 5, 16, generator=generator)


def close(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        assert (a - b).abs().max().item() <= 2e-5 * (1 + b.abs().max().item())


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_computes_the_same(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels, x = drawn(spec(body))
    monkeypatch.setattr(kernels, "fused", always)
    close(run(second, second.parameters(), x), run(first, first.parameters(), x))


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    return loaded(compiled(spec("SelfAttention(2)")))[1]


class Three(nn.Module):
    """Layers of one input, called one by one or together."""

    def __init__(self, call: Callable[..., Sequence[Tensor]] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(16, 8)
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self.q(x), self.k(x), self.v(x)) if self.call is None else self.call(x, self.q, self.k, self.v)
        return q * torch.cat((k, v), -1).sin()


X = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def always_fused(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "fused", always)


def equal(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_on_a_cpu_each_layer_is_called(kernels: ModuleType) -> None:
    ours, theirs, seen = Three(kernels.linears), Three(), list[str]()
    for name in "qkv":
        ours.get_submodule(name).register_forward_hook(lambda *_, name=name: seen.append(name))
    assert equal(run(ours, ours.parameters(), X), run(theirs, theirs.parameters(), X))
    assert seen == ["q", "k", "v"]


@pytest.mark.usefixtures("always_fused")
def test_one_product_each_way(kernels: ModuleType) -> None:
    """One forward, and backward one for what came in and one for the weights; biases are summed once. Weights, biases
    and what comes in backward are put side by side. What is kept until then is there already."""
    layers = Three()
    weights = {id(parameter) for parameter in layers.parameters()}
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = X.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), Products() as forward:
        y = kernels.linears(x, layers.q, layers.k, layers.v)
    with Products() as backward:
        torch.autograd.grad(y, [x, *layers.parameters()], [torch.randn(one.shape) for one in y])
    assert (forward.found, backward.found) == (
        ["_foreach_copy_", "addmm"],
        ["cat", "_foreach_copy_", "mm", "mm", "column_sums"],
    )
    assert len(kept) == 4 and all(tensor is x or id(tensor) in weights for tensor in kept)


class Products(TorchDispatchMode):
    """What is multiplied, summed and put together while it lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.partition("::")[2]
        if name in ("mm", "addmm", "bmm", "linear", "sum", "column_sums", "cat", "_foreach_copy_"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.usefixtures("always_fused")
@pytest.mark.parametrize("frozen", [["x"], ["q", "k", "v"], ["k"], ["k.bias"], ["x", "q.bias", "k.bias", "v.bias"]])
def test_what_is_frozen_gets_no_gradient(frozen: list[str], kernels: ModuleType) -> None:
    found: list[dict[str, Tensor | None]] = []
    for model in (Three(), Three(kernels.linears)):
        given = X.clone().requires_grad_("x" not in frozen)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not any(name.startswith(one) for one in frozen))
        model(given).square().sum().backward()
        found.append({"x": given.grad} | {name: parameter.grad for name, parameter in model.named_parameters()})
    theirs, ours = found
    assert {name for name, one in ours.items() if one is None} == {
        name for name in ours if any(name.startswith(one) for one in frozen)
    }
    for name, one in theirs.items():
        got = ours[name]
        if one is not None and got is not None:
            close([got], [one])


class Adapted(nn.Module):
    """A low-rank adapter around a layer (Hu et al. 2021)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(layer.in_features, 2, bias=False)
        self.up = nn.Linear(2, layer.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))


class Doubled(nn.Linear):
    """A layer of another class that is a Linear all the same."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def hooked(register: str, value: Callable[..., Any]) -> Callable[[Any], None]:
    return lambda layers: getattr(layers.k, register)(value)


def adapted(layers: Any) -> None:
    torch.manual_seed(1)
    layers.v = Adapted(layers.v)


def of_another_class(layers: Any) -> None:
    torch.manual_seed(1)
    layers.q = Doubled(16, 16)


def with_another_forward(layers: Any) -> None:
    plain = layers.q.forward
    layers.q.forward = lambda x: 3 * plain(x)


def without_its_bias(layers: Any) -> None:
    layers.k.bias = None


def normed(layers: Any) -> None:
    torch.manual_seed(1)
    spectral_norm(layers.q)


CHANGES = {
    "a hook": hooked("register_forward_hook", lambda _, __, y: y * 2),
    "a hook before": hooked("register_forward_pre_hook", lambda _, given: (given[0] * 2,)),
    "a hook backward": hooked("register_full_backward_hook", lambda _, d_x, __: (d_x[0] * 2,)),
    "a hook before that": hooked("register_full_backward_pre_hook", lambda _, d_y: (d_y[0] * 2,)),
    "an adapter": adapted,
    "another class": of_another_class,
    "another forward": with_another_forward,
    "one bias less": without_its_bias,
    "a parametrization": normed,
}


@pytest.mark.usefixtures("always_fused")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_was_changed_is_called_by_itself(change: Callable[[Any], None], kernels: ModuleType) -> None:
    ours, theirs, before = Three(kernels.linears), Three(), Three()
    change(ours)
    change(theirs)
    want = run(theirs, theirs.parameters(), X)
    assert not equal(want, run(before, before.parameters(), X))
    assert equal(run(ours, ours.parameters(), X), want)


@pytest.mark.usefixtures("always_fused")
def test_a_hook_of_all_modules_sees_each(kernels: ModuleType) -> None:
    ours, seen = Three(kernels.linears), list[nn.Module]()
    with nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(module)):
        ours(X)
    assert seen == [ours.q, ours.k, ours.v, ours]


class Quantised(Tensor):
    """A weight that decides itself what a product with it is."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [one.as_subclass(Tensor) if isinstance(one, Quantised) else one for one in args]
        return 2 * func(*given, **(kwargs or {})) if func is F.linear else super().__torch_function__(func, types, args)


@pytest.mark.usefixtures("always_fused")
def test_a_weight_of_another_kind_is_asked(kernels: ModuleType) -> None:
    ours, theirs = Three(kernels.linears), Three()
    for model in (ours, theirs):
        weight = model.v.weight.detach().as_subclass(Quantised)
        model.v.weight = nn.Parameter(weight, requires_grad=False)
        assert type(model.v.weight) is Quantised
    assert torch.equal(ours(X), theirs(X)) and not torch.equal(ours(X), Three()(X))


@pytest.mark.usefixtures("always_fused")
def test_weights_put_in_for_a_call_are_taken(kernels: ModuleType) -> None:
    ours, theirs = Three(kernels.linears), Three()
    weights = {name: torch.randn(one.shape) for name, one in theirs.named_parameters()}
    assert torch.equal(functional_call(ours, weights, X), functional_call(theirs, weights, X))


@pytest.mark.usefixtures("always_fused")
def test_under_autocast(kernels: ModuleType) -> None:
    """At most twice as far from the truth as PyTorch is at that precision."""
    ours, theirs = Three(kernels.linears), Three()
    with torch.autocast("cpu", torch.bfloat16):
        found, other = run(ours, ours.parameters(), X), run(theirs, theirs.parameters(), X)
    exact = run(theirs.double(), theirs.parameters(), X.double())
    for a, b, true in zip(found, other, exact, strict=True):
        assert a.dtype == b.dtype
        assert (a - true).abs().max() <= max(2 * (b - true).abs().max(), 2**-8 * true.abs().max())


@pytest.mark.usefixtures("always_fused")
@pytest.mark.parametrize("autocast", [False, True], ids=["", "under autocast"])
def test_recomputed_and_compiled(autocast: bool, kernels: ModuleType) -> None:
    ours = Three(kernels.linears)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        want = run(ours, ours.parameters(), X)
        again = run(lambda x: checkpoint(ours, x, use_reentrant=False), ours.parameters(), X)
        torch._dynamo.reset()
        whole = run(torch.compile(ours, **TRACED), ours.parameters(), X)
    assert equal(again, want) and equal(whole, want)


@pytest.mark.usefixtures("always_fused")
@pytest.mark.parametrize("alone", [False, True], ids=["by block", "and one of them by itself"])
def test_sharded(alone: bool, kernels: ModuleType) -> None:
    """Where `fully_shard` gathers the weights of a layer when that is called, it is called."""
    ours = nn.Sequential(Three(kernels.linears), Three(kernels.linears))
    other = nn.Sequential(Three(None if alone else kernels.linears), Three(None if alone else kernels.linears))
    want = run(other, other.parameters(), X)
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        for block in ours:
            if alone:
                fully_shard(block.get_submodule("k"), mesh=mesh)
            fully_shard(block, mesh=mesh)
        fully_shard(ours, mesh=mesh)
        x = X.clone().requires_grad_()
        y = ours(x)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(3)))
        gradients = [parameter.grad.full_tensor() for parameter in ours.parameters()]  # type: ignore[union-attr]
    finally:
        distributed.destroy_process_group()
    assert x.grad is not None and equal([y, x.grad, *gradients], want)


def test_values_keep_no_memory_of_what_is_turned() -> None:
    """Of q and k nothing is needed once they are: v, which is kept, must not lie in one piece with them."""
    text = compiled(spec(BODIES["rotary"])).model_code
    assert "v = v.contiguous()" in text
    assert ".contiguous()" not in compiled(spec(BODIES["heads"])).model_code


def test_norms_of_heads_take_them_one_by_one() -> None:
    """They would copy what lies in rows with others."""
    assert "linears" not in compiled(spec(BODIES["norms of heads"])).model_code


@pytest.mark.slow
@pytest.mark.parametrize("body", [*BODIES.values()])
def test_the_files_are_as_ruff_has_them(body: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(body)).files, tmp_path)


@pytest.mark.parametrize("group", [1, 2])
def test_gradients_of_an_attention_are_not_put_together(group: int) -> None:
    """It gives them as parts of one tensor, which goes into the products as it is. What is not such parts is copied, to
    the same bits."""
    text = spec(f"SelfAttention(4, kv_heads = {4 // group}, causal = true)")
    _, model, kernels, x = drawn(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kernels, "fused", always)
        x = x.requires_grad_()
        leaves, y = [x, *model.parameters()], model(x)
        with Products() as backward:
            found = torch.autograd.grad(y, leaves, torch.ones_like(y), retain_graph=True)
        patched.setattr(torch.compiler, "is_compiling", lambda: True)
        with Products() as apart:
            want = torch.autograd.grad(y, leaves, torch.ones_like(y))
    assert (backward.found.count("cat"), apart.found.count("cat")) == (0, 1)
    assert equal(found, want)


def test_parts_are_whole_rows_only_where_they_lie_so(kernels: ModuleType) -> None:
    whole = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    widths = [4, 2, 2]
    q, k, v = whole.split(widths, -1)
    assert kernels.joined((q, k, v)).data_ptr() == whole.data_ptr()
    turned = whole.view(3, 2, 8).split(widths, -1)
    for parts in (
        (q, v, k),
        (q, k, v.clone()),
        (q[:1], k[:1], v[:1]),
        (q[..., :2], k, v),
        tuple(part.transpose(0, 1) for part in turned),
        (q.clone(), k.clone(), v.clone()),
    ):
        found = kernels.joined(parts)
        assert torch.equal(found, torch.cat(parts, -1).flatten(0, -2))
