"""What is put in place of a model's parts has with kernels the effect that it has without."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from triton_files import Poisoned, always, compiled, loaded
from triton_templates import interpreting

T = 9
BLOCKS = """dlspec 1
model Net: (x: [B, T <= 32, 16]) -> (y: [B, T, 16]) {
  blocks: repeat(2) {
    residual(pre = LayerNorm) { attn: SelfAttention(2) }
    residual(pre = LayerNorm) { mlp: { (gate: Linear(24) -> silu) * up: Linear(24) -> down: Linear(16) } }
  }
  norm: LayerNorm
}
"""
MASKED = """dlspec 1
model Net: (x: [B, T <= 32, 16], seen: bool[B, T]) -> (y: [B, T, 16]) {
  x -> SelfAttention(2, mask = seen) as y
}
"""
ROTARY = """dlspec 1
model Net: (x: [B, T <= 32, 16]) -> (y: [B, T, 16]) {
  SelfAttention(2, causal = true, rotary = 10_000)
}
"""


def classifies(bias: str) -> str:
    return f"""dlspec 1
model Net: (x: [B, T <= 32, 16]) -> (logits: [B, T, 40]) {{
  head: Linear(40, bias = {bias})
}}
train Net {{
  data      = arrays("a.npz")
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-3)
  steps     = 1
  batch     = 2
}}
"""


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting(), Poisoned():
        yield


def drawn(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1))


def results(model: nn.Module, *given: Tensor) -> list[Tensor | None]:
    y = model(*given)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [*model.parameters()], allow_unused=True)]


class Mean(nn.Module):
    """One for all positions: [B, 1, D]"""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True)


class Adapted(nn.Module):
    """A layer and what is learned beside it, added in place (Hu et al. 2021)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.down, self.up = nn.Linear(layer.in_features, 2, bias=False), nn.Linear(2, layer.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        y += self.up(self.down(x))
        return y


def one_branch_for_all(model: nn.Module) -> None:
    model.blocks[0].attn = Mean()  # type: ignore[index]


def one_gate_for_all(model: nn.Module) -> None:
    model.blocks[0].mlp.up = nn.Linear(16, 1)  # type: ignore[index]


def a_norm_without_bias(model: nn.Module) -> None:
    model.norm.bias = None  # type: ignore[union-attr]


def an_adapter(model: nn.Module) -> None:
    model.blocks[0].mlp.down = Adapted(model.blocks[0].mlp.down)  # type: ignore[index]


def a_hook_that_writes(model: nn.Module) -> None:
    model.blocks[0].attn.register_forward_hook(lambda module, given, y: y.mul_(0.5))  # type: ignore[index]


@pytest.mark.parametrize(
    "change", [one_branch_for_all, one_gate_for_all, a_norm_without_bias, an_adapter, a_hook_that_writes]
)
def test_a_change(change: Callable[[nn.Module], None], monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(BLOCKS))
    torch.manual_seed(0)
    model, x = module.Net(), drawn(2, T, 16)
    change(model)
    want = results(model, x)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(results(model, x), want, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_gate_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(BLOCKS))
    model = module.Net()
    model.blocks[0].mlp.up = nn.Linear(16, 40)
    monkeypatch.setattr(kernels, "fused", always)
    with pytest.raises(RuntimeError, match="must match the size"):
        model(drawn(2, T, 16))


def test_a_mask_of_numbers_is_added_as_pytorch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(MASKED))
    model, x, seen = module.Net(), drawn(2, T, 16), drawn(2, T) > -0.5
    want = results(model, x, seen)
    numbers = torch.zeros(2, T).masked_fill(~seen, float("-inf"))
    monkeypatch.setattr(kernels, "fused", always)
    for mask in (seen, numbers):
        for a, b in zip(results(model, x, mask), want, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bias", ["true", "false"])
def test_a_bias_that_a_head_is_given_or_loses(bias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(classifies(bias)))
    model, x, labels = module.Net(), drawn(2, T, 16), torch.arange(2 * T).view(2, T)
    model.head.bias = nn.Parameter(drawn(40)) if bias == "false" else None
    logits = F.linear(x, model.head.weight, model.head.bias)
    want = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    for fused in (kernels.fused, always):
        monkeypatch.setattr(kernels, "fused", fused)
        loss = model(x, labels)
        torch.testing.assert_close(loss, want)
        found = torch.autograd.grad(loss, [*model.parameters()])
        for a, b in zip(found, torch.autograd.grad(want, [*model.parameters()], retain_graph=True), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


class Counting(nn.Module):
    times = 0

    def forward(self, weight: Tensor) -> Tensor:
        self.times += 1
        return 2 * weight


@pytest.mark.parametrize("name", ["blocks.0.attn.k", "blocks.0.mlp.down", "head"])
def test_a_weight_that_is_computed_is_computed_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate that goes on with each look at it, as of a spectral norm, would be another."""
    module, kernels = loaded(compiled(classifies("true") if name == "head" else BLOCKS))
    monkeypatch.setattr(kernels, "fused", always)
    model, counting = module.Net(), Counting()
    parametrize.register_parametrization(model.get_submodule(name), "weight", counting)
    before = counting.times
    model(drawn(2, T, 16), *([torch.zeros(2, T, dtype=torch.int64)] if name == "head" else []))
    assert counting.times == before + 1


def test_a_norm_of_which_nothing_is_used_has_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros would let its weights decay."""
    module, kernels = loaded(compiled(BLOCKS))
    model, block = module.Net(), module.Net().blocks[0]
    model.blocks[0].mlp.forward = lambda x: block.mlp(x).detach()
    for fused in (kernels.fused, always):
        monkeypatch.setattr(kernels, "fused", fused)
        model.zero_grad()
        model(drawn(2, T, 16)).sum().backward()
        unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert [name for name in unused if "norm" in name] == ["blocks.0.mlp_norm.weight", "blocks.0.mlp_norm.bias"]


@pytest.mark.parametrize("kernels", ["torch", "triton"])
def test_tables_that_no_checkpoint_has_are_filled_where_memory_is_made(kernels: str) -> None:
    artefact = compiled(ROTARY, kernels)
    space: dict[str, object] = {}
    if kernels == "torch":
        exec(artefact.model_code, space)
    Net = space["Net"] if kernels == "torch" else loaded(artefact)[0].Net
    made, x = Net(), drawn(2, T, 16)  # type: ignore[operator]
    with torch.device("meta"):
        model = Net()  # type: ignore[operator]
    for _ in range(2):
        model.to_empty(device="cpu").load_state_dict(made.state_dict())
        assert torch.equal(model(x), made(x))
    tables = [name for name, _ in model.named_buffers()]
    for name in tables:
        assert torch.equal(model.half().get_buffer(name), made.get_buffer(name))
