"""What kernels are given by hand: what PyTorch broadcasts is, as in the plain form, and what it refuses is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from triton_files import Poisoned, always, compiled, loaded
from triton_templates import interpreting

T = 20
GIVEN = {
    "keys masked": ("mask = given", "bool[B, T]", torch.arange(T)[None] % 7 != 3),
    "pairs masked": ("mask = given", "bool[B, T, T]", torch.arange(T * T).view(1, T, T) % 5 != 3),
    "pairs masked by keys": ("mask = given", "bool[B, T, T]", torch.arange(T).view(1, 1, T) % 7 != 3),
    "documents": ("documents = given", "int[B, T]", torch.arange(T)[None] // 6),
    "prefix": ("causal = true, prefix = given", "int[B]", torch.tensor([7])),
    "added": ("score = given", "[2, T, T]", torch.arange(T * T).view(1, T, T) % 11 / 5 - 1),
    "added for each": ("score = given", "[B, 2, T, T]", torch.arange(2 * T * T).view(1, 2, T, T) % 11 / 5 - 1),
}


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting(), Poisoned():
        yield


def attending(options: str, kind: str) -> str:
    return f"""dlspec 1
model Net: (x: [B, T <= 64, 32], given: {kind}) -> (y: [B, T, 32]) {{
  x -> SelfAttention(2, {options}) as y
}}
"""


def gradients(y: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    return [y.detach(), *torch.autograd.grad(y.square().sum(), leaves)]


@pytest.mark.parametrize(("options", "kind", "given"), GIVEN.values(), ids=GIVEN.keys())
def test_one_for_all(options: str, kind: str, given: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(attending(options, kind)))
    model, x = module.Net(), torch.randn(2, T, 32, generator=torch.Generator().manual_seed(1))
    given = given.clone().requires_grad_(given.is_floating_point())
    leaves = [*model.parameters(), *([given] if given.requires_grad else [])]
    want = gradients(model(x, given), leaves)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, gradients(model(x, given), leaves), strict=True):
        torch.testing.assert_close(b, a, atol=1e-5, rtol=1e-5)
    three = given.detach().expand(3, *given.shape[1:])
    with pytest.raises(RuntimeError, match=r"expanded size .* must match"):
        model(x, three)


def test_one_sequence_of_keys_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(
        compiled(
            "dlspec 1\nmodel Net: (x: [B, T <= 64, 32], other: [B, S <= 64, 32]) -> (y: [B, T, 32]) {\n"
            "  x -> CrossAttention(2, memory = other) as y\n}\n"
        )
    )
    model, x, other = module.Net(), torch.randn(2, T, 32), torch.randn(1, T - 5, 32, requires_grad=True)
    leaves = [*model.parameters(), other]
    want = gradients(model(x, other), leaves)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, gradients(model(x, other), leaves), strict=True):
        torch.testing.assert_close(b, a, atol=1e-5, rtol=1e-5)
    q = torch.randn(2, T, 2, 16)
    with pytest.raises(ValueError, match=r"v is \[2, 5, 2, 16\], which does not go with k, \[2, 20, 2, 16\]"):
        kernels.attention(q, q, q[:, :5])


def test_tiles_begin_at_sixteen_bytes() -> None:
    """Where heads lie so already they are not copied."""
    _, kernels = loaded(compiled(attending("causal = true, mask = given", "bool[B, T]")))
    for dtype in (torch.float32, torch.bfloat16):
        room = torch.randn(2 * T * 32 + 1).to(dtype)
        odd, even = room[1:].view(2, T, 2, 16), room[:-1].view(2, T, 2, 16)
        assert odd.is_contiguous() and odd.data_ptr() % 16 != 0
        found = kernels.rows(odd)
        assert found.data_ptr() % 16 == 0 and torch.equal(found, odd) and found.stride() == odd.stride()
        assert kernels.rows(even) is even
        part = torch.randn(2, T, 6, 16).to(dtype)[:, :, 2:4]
        assert kernels.rows(part) is part


LABELLED = """dlspec 1
model Lm: (tokens: int[B, T <= 32]) -> (logits: [B, T, 50]) { Embedding(50, 16) -> head: Linear(50) }
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-2)
  steps = 4
  batch = 4
  kernels = triton
}
"""


def test_labels_that_pytorch_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kernels = loaded(compiled(LABELLED.replace('text("a.txt", tokenizer = bytes, window = 16)', 'arrays("a.npz")')))
    x, learned, logits = torch.randn(6, 16), (torch.randn(50, 16), torch.randn(50)), torch.randn(6, 50)
    labels = torch.arange(6)
    monkeypatch.setattr(kernels, "fused", always)
    for call in (
        lambda labels: kernels.cross_entropy(logits, labels),
        lambda labels: kernels.linear_cross_entropy(x, *learned, labels),
    ):
        with pytest.raises(ValueError, match="6 rows of logits, but 4 labels"):
            call(labels[:4])
        for dtype in (torch.float32, torch.bool, torch.int32):
            with pytest.raises(ValueError, match=f"labels are torch.int64, not {dtype}"):
                call(labels.to(dtype))
        assert torch.equal(call(labels.to(torch.uint8)), call(labels))
