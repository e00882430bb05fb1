"""Sums of residuals that norms take over: what the emitted module says, and that it computes the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import distributed, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.utils.checkpoint import checkpoint
from triton_files import TRACED, always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

BODIES = {
    "pre-norm": (
        "default residual(pre = LayerNorm)",
        "residual { a: Linear(16) -> gelu }\n residual { b: Linear(32) -> relu -> c: Linear(16) }\n norm: LayerNorm",
        2,
    ),
    "pre-norm in copies": (
        "default residual(pre = RMSNorm)",
        "blocks: repeat(2) {\n residual { a: Linear(16) }\n residual { b: Linear(16) -> gelu }\n }\n norm: RMSNorm",
        3,
    ),
    "one residual a copy, and no norm behind": (
        "default residual(pre = LayerNorm)",
        "repeat(3, index = i) { residual { b: Linear(16 * (i + 1)) -> Linear(16) } }",
        1,
    ),
    "copies with something beside": (
        "default residual(pre = LayerNorm)",
        "m = x -> Linear(16)\n x -> repeat(2) { residual { CrossAttention(2, memory = m) } } -> LayerNorm",
        2,
    ),
    "two repeats": (
        "default residual(pre = RMSNorm)",
        "a: repeat(2) { residual { Linear(16) } }\n b: repeat(2) { residual { Linear(16) } -> residual { relu } }",
        3,
    ),
    "copies that end otherwise": (
        "default residual(pre = LayerNorm)",
        "repeat(2) { residual { Linear(16) } -> relu }\n norm: LayerNorm",
        0,
    ),
    "copies whose stream is read twice": (
        "default residual(pre = LayerNorm)",
        "repeat(2) { Linear(16) as h\n residual { Linear(16) -> gelu }\n residual { Linear(16) } as v\n h - v }",
        1,
    ),
    "post-norm": ("default residual(post = LayerNorm)", "residual { a: Linear(16) }\n residual { b: Linear(16) }", 2),
    "norms around": (
        "default residual(pre = RMSNorm, out = RMSNorm)",
        "residual { a: Linear(16) }\n residual { b: Linear(16) }",
        1,
    ),
    "with dropout": (
        "default residual(pre = LayerNorm, drop = 0.2)",
        "residual { a: Linear(16) }\n residual { relu }",
        1,
    ),
    "the sum is read elsewhere": (
        "default residual(pre = LayerNorm)",
        "residual { a: Linear(16) } as u\n residual { b: Linear(16) }\n v = Linear(16)\n u * v",
        1,
    ),
    "with an offset, without a bias": (
        "default residual(pre = RMSNorm(offset = 1))",
        "residual { a: Linear(16) }\n residual(pre = LayerNorm(bias = false)) { b: Linear(16) }\n residual { relu }",
        2,
    ),
    "nothing to fuse": (
        "default residual(pre = LayerNorm)",
        "residual(scale = 0.5) { a: Linear(16) }\n residual(gate = Linear(16) -> sigmoid) { b: Linear(16) }\n relu",
        0,
    ),
    "a norm that is used twice": (
        "",
        "residual { a: Linear(16) }\n n: LayerNorm -> relu -> n",
        0,
    ),
    "recomputed": (
        "default residual(pre = LayerNorm)",
        "checkpoint { residual { a: Linear(16) }\n residual { b: Linear(16) } }",
        1,
    ),
}


def spec(default: str, body: str) -> str:
    return f"dlspec 1\n{default}\nmodel Net: (x: [B, T, 16]) -> (y: [B, T, 16]) {{\n {body}\n}}\n"


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def run(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    torch.manual_seed(4)
    y = model(x)
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
    return [y, *torch.autograd.grad(y, [x, *model.parameters()], d)]


def drawn(text: str) -> tuple[nn.Module, nn.Module, ModuleType, torch.Tensor]:
    """The model without kernels and with them, with equal weights of no special values, the kernels' module, an x."""
    first = load_text("net", compiled(text, "torch").model_code).Net()
    module, kernels = loaded(compiled(text))
    generator = torch.Generator().manual_seed(2)
    for parameter in first.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    second = module.Net()
    second.load_state_dict(first.state_dict(), strict=True)
    return first, second, kernels, torch.randn(2, 5, 16, generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize(("default", "body", "fused"), BODIES.values(), ids=BODIES.keys())
def test_computes_the_same(default: str, body: str, fused: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = spec(default, body)
    assert len(re.findall(r"= Add(Layer|RMS)Norm", compiled(text).model_code)) == fused
    first, second, kernels, x = drawn(text)
    for a, b in zip(run(first, x), run(second, x), strict=True):
        assert (a - b).abs().max().item() <= 1e-6 * (1 + a.abs().max().item())
    # What dropout drops depends on who drops it.
    want = run(first.eval(), x)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, run(second.eval(), x), strict=True):
        assert (a - b).abs().max().item() <= 2e-5 * (1 + a.abs().max().item())


DROPPING = """
 default residual(pre = LayerNorm, drop = 0.4)
 blocks: repeat(2) {
   residual { a: Linear(16) }
   residual { b: Linear(16) }
 }
 norm: LayerNorm"""


def test_dropout_goes_along() -> None:
    """Into the norm that takes the branch, be it the next copy's or the one behind; no key is lost."""
    text = compiled(spec("", DROPPING)).model_code
    assert "nn.Dropout" not in text and text.count("drop=0.4") == 3
    alone = compiled(spec("", DROPPING.replace("norm: LayerNorm", "relu"))).model_code
    assert alone.count("nn.Dropout") == 1  # the last sum has nobody to take it
    by_index = DROPPING.replace("repeat(2)", "repeat(2, index = i)").replace(
        "residual { b", "residual(drop = 0.1 * (i + 1)) { b"
    )
    differing = compiled(spec("", by_index))
    assert differing.model_code.count("nn.Dropout") == 1


def test_dropout_is_the_same_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients against differences, with the same numbers drawn; and as much is dropped as was asked for."""
    _, model, kernels, x = drawn(spec("", DROPPING))
    monkeypatch.setattr(kernels, "fused", always)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(9))
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(10))

    def value(step: float) -> torch.Tensor:
        torch.manual_seed(5)
        return (model(x + step * direction) * weight).sum()

    x.requires_grad_()
    (gradient,) = torch.autograd.grad(value(0.0), x)
    with torch.no_grad():
        slope = (value(1e-3) - value(-1e-3)) / 2e-3
    assert abs((gradient * direction).sum() - slope) <= 2e-2 * (1 + abs(slope))
    branch = torch.ones(64, 16)
    total, _ = kernels.add_layer_norm(torch.zeros(64, 16), branch, torch.ones(16), torch.zeros(16), 1e-5, 0.4)
    dropped = (total == 0).float().mean().item()
    assert abs(dropped - 0.4) < 0.06 and torch.allclose(total[total != 0], torch.tensor(1 / 0.6))


@pytest.mark.slow
def test_weights_start_as_without() -> None:
    for default, body, _ in BODIES.values():
        text = spec(default, body)
        models = []
        for kernels in ("torch", "triton"):
            artefact = compiled(text, kernels)
            plain = kernels == "torch" or not artefact.imported
            module = load_text("net", artefact.model_code) if plain else loaded(artefact)[0]
            models.append(module.Net())
            models[-1].init_weights(torch.Generator().manual_seed(0))
        first, second = (model.state_dict() for model in models)
        assert list(first) == list(second)
        assert all(torch.equal(first[name], second[name]) for name in first)


BLOCK = """
 default residual(pre = LayerNorm)
 blocks: repeat(2) {
   residual { a: Linear(16) }
   residual { b: Linear(16) }
 }"""


def test_what_is_written() -> None:
    text = compiled(spec("", BLOCK)).model_code
    lines = text[text.index("def forward", text.index("class Block(")) : text.index("def init_weights")].splitlines()
    assert [line.strip() for line in lines[1:] if line.strip()] == [
        "x, h = self.a_norm(x, h)",
        "h = self.a(h)",
        "x, h = self.b_norm(x, h)",
        "return x, self.b(h)",
    ]
    assert "def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:" in text
    lines = text[text.index("def forward", text.index("class Net(")) : text.index("@torch.no_grad")].splitlines()
    assert [line.strip() for line in lines[1:] if line.strip()] == [
        "h: Tensor | None = None",
        "for block in self.blocks:",
        "x, h = block(x, h)",
        "return x + h",
    ]


NARROW = {
    "into products": (
        "residual { a: Linear(16) }\n residual { b: Linear(16) }\n norm: LayerNorm -> c: Linear(16)",
        True,
    ),
    "into a block of products": (
        "residual { a: Linear(16) }\n residual { FeedForward(32) }\n norm: LayerNorm -> c: Linear(16)",
        True,
    ),
    "into attention": ("residual { a: Linear(16) }\n residual { SelfAttention(2) } -> LayerNorm -> Linear(16)", True),
    "out of the model": ("residual { a: Linear(16) }\n norm: LayerNorm", False),
    "into a function": ("residual { a: Linear(16) }\n norm: LayerNorm -> gelu -> Linear(16)", False),
    "into a product and a sum": ("residual { a: Linear(16) } -> LayerNorm as u\n v = Linear(16)\n u + v", False),
}


@pytest.mark.slow
@pytest.mark.parametrize(("body", "narrow"), NARROW.values(), ids=NARROW.keys())
def test_what_goes_into_products_is_as_they_round_it(body: str, narrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under autocast, which leaves norms in float32."""
    text = spec("import std.transformer\n default residual(pre = LayerNorm)", body)
    artefact = compiled(text)
    assert ("# As the products round it that it goes into." in artefact.kernels["net_kernels.py"]) is narrow
    _, model, kernels, x = drawn(text)
    monkeypatch.setattr(kernels, "fused", always)
    seen: list[torch.Tensor] = []
    for module in model.modules():
        if type(module).__name__.startswith("AddLayerNorm"):
            module.register_forward_hook(lambda _, __, out: seen.append(out[1]))
    with torch.autocast("cpu", torch.bfloat16):
        found = run(model, x)
    assert {y.dtype for y in seen} == {torch.bfloat16 if narrow else torch.float32}
    first = load_text("net", compiled(text, "torch").model_code).Net()
    first.load_state_dict(model.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        theirs = run(first, x)
    for ours, other, true in zip(found, theirs, run(first.double(), x.double()), strict=True):
        one_rounding = 2**-8 * true.abs().max()
        assert (ours - true).abs().max() <= max(2 * (other - true).abs().max(), one_rounding)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["LayerNorm", "LayerNorm(bias = false)", "RMSNorm", "RMSNorm(offset = 1)"])
@pytest.mark.parametrize("drop", ["", ", drop = 0.1"], ids=["", "drop"])
@pytest.mark.parametrize("around", ["{}", "repeat(2) {{ {} }}"], ids=["", "copies"])
def test_the_file_is_as_ruff_has_it(norm: str, drop: str, around: str, tmp_path: Path) -> None:
    body = around.format("residual { a: Linear(16) }\n residual { b: Linear(16) }") + " -> LayerNorm"
    hold_to_ruff(compiled(spec(f"default residual(pre = {norm}{drop})", body)).files, tmp_path)


def test_hooks_see_the_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A norm's hook is called once a step; a block hands on the stream and what is still to be added to it."""
    first, second, kernels, x = drawn(spec("", BLOCK))
    monkeypatch.setattr(kernels, "fused", always)
    seen = []
    for name, module in second.named_modules():
        module.register_forward_hook(lambda _, __, out, name=name: seen.append((name, type(out))))
    assert (second(x) - first(x)).abs().max() <= 1e-5
    assert [name for name, _ in seen].count("blocks.0.b_norm") == 1
    assert dict(seen)["blocks.0"] is tuple


def test_recomputed_and_compiled_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels, x = drawn(spec("", BLOCK))
    monkeypatch.setattr(kernels, "fused", always)
    want = run(first, x)
    torch._dynamo.reset()
    for block in second.blocks:  # type: ignore[union-attr]
        block.compile(**TRACED)
    compiled_blocks = run(second, x)
    _, third, other, _ = drawn(spec("", BLOCK))
    monkeypatch.setattr(other, "fused", always)
    for block in third.blocks:  # type: ignore[union-attr]
        plain = block.forward
        block.forward = lambda x, h, plain=plain: checkpoint(plain, x, h, use_reentrant=False)
    for a, b, c in zip(want, compiled_blocks, run(third, x), strict=True):
        assert (a - b).abs().max().item() <= 2e-5 * (1 + a.abs().max().item())
        assert (a - c).abs().max().item() <= 2e-5 * (1 + a.abs().max().item())


def test_checks_of_pytorch_without_a_branch() -> None:
    _, kernels = loaded(compiled(spec("", BLOCK)))
    forward, backward = kernels.operators.norm_forward, kernels.operators.norm_backward
    x, weight, bias = torch.randn(5, 16), torch.randn(16), torch.randn(16)
    for branch in (None, torch.randn(5, 16)):
        given = (x, branch, weight, bias, 1e-5, torch.float32)
        torch.library.opcheck(forward.default, given)
        total, y, *of_rows = forward(*given)
        normed = x if branch is None else total
        back = (None, torch.randn_like(y), normed, weight, *of_rows, torch.float32)
        torch.library.opcheck(backward.default, back)


def test_checks_of_pytorch() -> None:
    for norm, extra in (("LayerNorm", ()), ("RMSNorm(offset = 1)", (1.0,))):
        text = spec("", f"residual {{ a: Linear(16) }}\n norm: {norm}")
        _, kernels = loaded(compiled(text))
        forward, backward = kernels.operators.norm_forward, kernels.operators.norm_backward
        learned = [torch.randn(16) for _ in range(1 if extra else 2)]
        for dtype in (torch.float32, torch.bfloat16):
            given = (torch.randn(5, 16), torch.randn(5, 16, dtype=dtype), *learned, 1e-5, *extra, torch.float32)
            torch.library.opcheck(forward.default, given)
            total, y, *of_rows = forward(*given)
            for d_total in (None, torch.randn_like(total)):
                back = (d_total, torch.randn_like(y), total, learned[0], *of_rows, *extra, dtype)
                torch.library.opcheck(backward.default, back)


def test_sharded_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fully_shard` gathers the weights of one block at a time: no block reads those of another."""
    first, second, kernels, x = drawn(spec("", BLOCK + "\n norm: LayerNorm"))
    monkeypatch.setattr(kernels, "fused", always)
    want = run(first, x)
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        for block in second.blocks:  # type: ignore[union-attr]
            fully_shard(block, mesh=mesh)
        fully_shard(second, mesh=mesh)
        x = x.clone().requires_grad_()
        y = second(x)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(3)))
        gradients = [parameter.grad.full_tensor() for parameter in second.parameters()]  # type: ignore[union-attr]
    finally:
        distributed.destroy_process_group()
    assert x.grad is not None
    for a, b in zip(want, [y, x.grad, *gradients], strict=True):
        assert (a - b).abs().max().item() <= 2e-5 * (1 + a.abs().max().item())
