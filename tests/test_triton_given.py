"""What kernels are given by hand: what PyTorch broadcasts is, as in the plain form, and what it refuses is refused."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor
from triton_files import Poisoned, always, compiled, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

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


CROSS = """\
dlspec 1
model Net: (x: [B, T <= 64, 32], other: [B, S <= 64, 32]) -> (y: [B, T, 32]) {
  x -> CrossAttention(2, memory = other) as y
}
"""


def test_one_sequence_of_keys_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(CROSS))
    model, x, other = module.Net(), torch.randn(2, T, 32), torch.randn(1, T - 5, 32, requires_grad=True)
    leaves = [*model.parameters(), other]
    want = gradients(model(x, other), leaves)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, gradients(model(x, other), leaves), strict=True):
        torch.testing.assert_close(b, a, atol=1e-5, rtol=1e-5)
    q = torch.randn(2, T, 2, 16)
    with pytest.raises(ValueError, match=r"v is \[2, 5, 2, 16\], which does not go with k, \[2, 20, 2, 16\]"):
        kernels.attention(q, q, q[:, :5])


CONSTANTS = """\
dlspec 1
dim = 32
heads = 2
kv = 1
model Net: (x: [B, T <= 64, dim]) -> (y: [B, T, dim]) {
  residual(pre = LayerNorm) { attn: SelfAttention(heads, causal = true) }
  residual(pre = LayerNorm) { few: SelfAttention(heads, kv_heads = kv, causal = true, rotary = 10_000, softcap = 5) }
  RMSNorm -> Linear(dim)
}
"""


@pytest.mark.parametrize("changed", [{}, {"dim": 48}, {"dim": 16}, {"heads": 4}, {"heads": 4, "kv": 2}, {"kv": 2}])
def test_other_sizes_than_kernels_are_for_take_the_plain_form(
    changed: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps the emitted files changes their constants."""
    artefact = compiled(CONSTANTS)
    module, kernels = loaded(artefact)
    monkeypatch.setattr(kernels, "fused", always)
    calls = list[str]()
    for name in ("norm_forward", "attention_forward", "rotary"):
        noted(kernels, name, calls, monkeypatch)
    model = module.Net(module.Config(**changed))
    model.init_weights(torch.Generator().manual_seed(0))
    plain = load_text("net", compiled(CONSTANTS, "torch").model_code)
    reference = plain.Net(plain.Config(**changed))
    reference.load_state_dict(model.state_dict())
    x = torch.randn(2, T, changed.get("dim", 32), generator=torch.Generator().manual_seed(1))
    want = gradients(reference(x), [*reference.parameters()])
    for a, b in zip(want, gradients(model(x), [*model.parameters()]), strict=True):
        torch.testing.assert_close(b, a, atol=2e-5, rtol=1e-4)
    assert ("norm_forward" in calls) == ("dim" not in changed)
    assert ("rotary" in calls) == (not {"dim", "heads"} & changed.keys())


def noted(kernels: ModuleType, name: str, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    operator = getattr(kernels.operators, name)

    def run(*given: object) -> object:
        calls.append(name)
        return operator(*given)

    monkeypatch.setattr(kernels.operators, name, run)


def test_more_keys_than_queries_where_there_are_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kernels = loaded(compiled(attending("mask = given", "bool[B, T]")))
    monkeypatch.setattr(kernels, "fused", always)
    q, k = torch.randn(2, 5, 2, 16, requires_grad=True), torch.randn(2, 9, 2, 16, requires_grad=True)
    mask = torch.arange(9)[None].expand(2, -1) != 3
    want = gradients(kernels.attention_plain(q, k, k, mask), [q, k])
    for a, b in zip(want, gradients(kernels.attention(q, k, k, mask), [q, k]), strict=True):
        torch.testing.assert_close(b, a, atol=1e-5, rtol=1e-5)


def test_one_query_that_lies_anyhow(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch calls it contiguous, whatever the stride of its axis of one is."""
    _, kernels = loaded(compiled(CROSS))
    monkeypatch.setattr(kernels, "fused", always)
    q, k = torch.randn(3, 2, 1, 16).transpose(1, 2), torch.randn(3, 7, 2, 16)
    assert q.is_contiguous() and q.stride(1) == 16
    torch.testing.assert_close(kernels.attention(q, k, k), kernels.attention_plain(q, k, k))


def test_no_key_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(CROSS))
    monkeypatch.setattr(kernels, "fused", always)
    model, x, nothing = module.Net(), torch.randn(2, T, 32), torch.randn(2, 0, 32)
    y = model(x, nothing)
    assert not y.isnan().any() and torch.equal(y, y[:1, :1].expand_as(y))


def test_on_the_meta_device() -> None:
    """It has no autocast."""
    module, _ = loaded(compiled(CONSTANTS))
    assert module.Net().to("meta")(torch.empty(2, T, 32, device="meta")).shape == (2, T, 32)


def test_a_second_derivative_is_refused_where_there_is_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes around the kernels has one, and would be taken for the whole."""
    module, kernels = loaded(compiled(CONSTANTS))
    monkeypatch.setattr(kernels, "fused", always)
    x = torch.randn(2, T, 32, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(module.Net()(x).square().sum(), x, create_graph=True)


def test_transforms_of_functions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(CONSTANTS))
    monkeypatch.setattr(kernels, "fused", always)
    model, x = module.Net(), torch.randn(2, T, 32)
    for transform in (torch.func.grad(lambda x: model(x).sum()), torch.func.vmap(lambda x: model(x[None])[0])):
        with pytest.raises(RuntimeError, match="must override the setup_context"):
            transform(x)


def test_a_single_row_of_a_linear_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kernels = loaded(compiled(CONSTANTS))
    monkeypatch.setattr(kernels, "fused", always)
    layer, x = kernels.Linear(32, 8), torch.randn(32)
    want = gradients(torch.nn.functional.linear(x, layer.weight, layer.bias), [*layer.parameters()])
    for a, b in zip(want, gradients(layer(x), [*layer.parameters()]), strict=True):
        torch.testing.assert_close(b, a)


def test_numbers_of_a_score_stand_in_the_kernels_alone() -> None:
    text = "slope = 0.1\ndecay(s, q, k, h) = s - slope * (q - k)\n"
    spec = CONSTANTS.replace("dlspec 1\n", f"dlspec 1\n{text}").replace(
        "(heads, causal", "(heads, score = decay, causal"
    )
    assert "slope" in compiled(spec, "torch").model_code
    artefact = compiled(spec)
    assert "slope" not in artefact.model_code and "s - 0.1 * (q - k)" in artefact.kernels["net_kernels.py"]


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
