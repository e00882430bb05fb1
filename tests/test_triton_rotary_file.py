"""Models whose attentions turn queries and keys: the emitted file, its operator, and what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from triton_files import TRACED, Poisoned, always, as_on_a_gpu, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.bench.kinds import kind_of
from dlspec.runtime.bench.use import Entry, Use
from dlspec.runtime.program import load_text

CASES = {
    "plain": "x -> a: SelfAttention(2, rotary = 10_000) as y",
    "groups": "x -> a: SelfAttention(4, kv_heads = 2, causal = true, rotary = 500) as y",
    "heads of no power of two": "x -> a: SelfAttention(2, head_dim = 12, rotary = 10_000) as y",
    "two numbers a head": "x -> a: SelfAttention(2, head_dim = 2, rotary = 10_000) as y",
    "normed": "x -> a: SelfAttention(2, rotary = 10_000, qk_norm = RMSNorm) as y",
    "another sequence": "x -> a: CrossAttention(2, memory = m, rotary = 10_000) as y",
    "without matrices": "x -> attend(keys = x, values = x, heads = 2, rotary = 10_000) as y",
    "two widths": "x -> a: SelfAttention(2, rotary = 100) -> b: SelfAttention(4, rotary = 100) as y",
}


def spec(body: str) -> str:
    memory = ", m: [B, S <= 12, 20]" if "= m" in body else ""
    return f"dlspec 1\nmodel Net: (x: [B, T <= 12, 32]{memory}) -> (y: [B, T, 32]) {{ {body} }}\n"


def inputs(body: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, m = torch.randn(2, 9, 32, generator=generator), torch.randn(2, 5, 20, generator=generator)
    return [x, m] if "= m" in body else [x]


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting(), Poisoned():
        yield


def run(model: nn.Module, given: list[Tensor]) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in given]
    y = model(*leaves)
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(3)).to(y.dtype)
    return [y, *torch.autograd.grad(y, [*leaves, *model.parameters()], d)]


def drawn(body: str) -> tuple[nn.Module, nn.Module, object]:
    """The model without kernels and with them, with equal weights by seed, and the kernels' module."""
    first = load_text("net", compiled(spec(body), "torch").model_code).Net()
    module, kernels = loaded(compiled(spec(body)))
    second = module.Net()
    for model in (first, second):
        model.init_weights(torch.Generator().manual_seed(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    second.load_state_dict(first.state_dict(), strict=True)
    return first, second, kernels


@pytest.mark.parametrize("body", CASES.values(), ids=CASES.keys())
def test_as_the_plain_form_and_as_the_model_without(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels = drawn(body)
    given = inputs(body)
    want, plain = run(first, given), run(second, given)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b, c in zip(want, plain, run(second, given), strict=True):
        assert (a - b).abs().max() <= 1e-6 * (1 + a.abs().max())
        assert (a - c).abs().max() <= 1e-5 * (1 + a.abs().max())


def test_half_precision_by_the_rule() -> None:
    """At most twice the error of PyTorch at the same precision, against float64."""
    _, kernels = loaded(compiled(spec(CASES["groups"])))
    angles = torch.outer(torch.arange(9.0), 500.0 ** (-torch.arange(4) / 4))
    for dtype in (torch.bfloat16, torch.float16):
        q, k, d_q, d_k = (
            torch.randn(2, 9, 2, 8, generator=torch.Generator().manual_seed(i)).to(dtype) for i in range(4)
        )
        tables = angles.cos(), angles.sin()
        found = [
            kernels.operators.rotary(q, k, *tables, False),
            kernels.operators.rotary(d_q, d_k, *tables, True),
        ]
        for (one, two), given, sign in zip(found, ((q, k), (d_q, d_k)), (1, -1), strict=True):
            for ours, x in zip((one, two), given, strict=True):
                exact = kernels.rotary_plain(x.double(), tables[0].double(), sign * tables[1].double())
                theirs = kernels.rotary_plain(x, tables[0].to(dtype), sign * tables[1].to(dtype))
                assert ours.dtype == dtype
                assert (ours - exact).abs().max() <= 2 * (theirs - exact).abs().max()


def test_what_is_written() -> None:
    artefact = compiled(spec(CASES["two widths"]))
    assert "from net_kernels import Linear, attention, attention_2, linears, rotary, rotary_2\n" in artefact.model_code
    assert artefact.model_code.count("q, k = self.rotary(q, k)\n") == 2
    assert artefact.model_code.count("return rotary(q, k, self.cos, self.sin)\n") == 1
    text = artefact.kernels["net_kernels.py"]
    defined = [line.partition("(")[0] for line in text.splitlines() if line.startswith(("def ", "class "))]
    assert len(defined) == len(set(defined))
    shared = compiled(spec("x -> a: SelfAttention(2, rotary = 100) -> b: SelfAttention(2, rotary = 200) as y"))
    assert "rotary_2" not in shared.kernels["net_kernels.py"]


LLAMA = """\
dlspec 1
import std.transformer
default residual(pre = RMSNorm)
model Net: (tokens: int[B, T <= 16]) -> (logits: [B, T, 20]) {
  embed: Embedding(20, 32)
  blocks: repeat(2) {
    residual { attn: SelfAttention(4, kv_heads = 2, causal = true, rotary = 500, bias = false) }
    residual { mlp: GatedFeedForward(48) }
  }
  norm: RMSNorm -> head: Linear(20, bias = false)
}
"""


def test_beside_attention_norms_and_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole model, whose four kinds of kernels lie in one file."""
    artefact = compiled(LLAMA)
    text = artefact.kernels["net_kernels.py"]
    defined = [line.partition("(")[0] for line in text.splitlines() if line.startswith(("def ", "class "))]
    assert len(defined) == len(set(defined))
    module, kernels = loaded(artefact)
    models = [load_text("net", compiled(LLAMA, "torch").model_code).Net(), module.Net()]
    tokens = torch.randint(20, (2, 13), generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(kernels, "fused", always)
    results = []
    for model in models:
        model.init_weights(torch.Generator().manual_seed(2))
        logits = model(tokens)
        loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        results.append([logits, *torch.autograd.grad(loss, list(model.parameters()))])
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() <= 2e-5 * (1 + a.abs().max())


def test_without_a_kernel_for_the_attention_it_is_the_plain_form() -> None:
    wide = compiled("dlspec 1\nmodel Net: (x: [B, T <= 8, 16]) -> (y: [B, T, 16]) {"
                    " SelfAttention(1, head_dim = 300, rotary = 10_000, bias = false) as y }\n")  # fmt: skip
    assert wide.without_kernels == {"SelfAttention": "heads wider than 256"}
    assert "q, k = self.rotary(q), self.rotary(k)\n" in wide.model_code
    assert "y = F.scaled_dot_product_attention(q, k, v)\n" in wide.model_code
    # Its matrices are one product all the same, for which the file needs no kernel.
    assert "from net_kernels import linears\n" in wide.model_code
    assert "@kernel" not in wide.kernels["net_kernels.py"]


# --- The function ---


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> object:
    _, found = loaded(compiled(spec(CASES["plain"])))
    monkeypatch.setattr(found, "fused", as_on_a_gpu)
    return found


TABLES = torch.randn(2, 12, 8, generator=torch.Generator().manual_seed(7))


def test_views_and_empty_tensors(kernels: object) -> None:
    both = torch.randn(2, 9, 6, 16, generator=torch.Generator().manual_seed(4))
    cases = {
        "of one matrix": (both[:, :, :4], both[:, :, 4:]),
        "heads before positions": (both.transpose(1, 2), both.transpose(1, 2)),
        "spread": (both[:1].expand(3, 9, 6, 16), both[:1].expand(3, 9, 6, 16)),
        "columns apart": (both[..., ::2].repeat(1, 1, 1, 2), both.flip(-1)),
        "one": (both[:1, :1, :1], both[:1, :1, :1]),
        "no queries": (both[:0], both[:0]),
        "no keys": (both, both[:, :0]),
    }
    for name, given in cases.items():
        results = []
        for turn in (
            kernels.rotary,  # type: ignore[attr-defined]
            lambda q, k, *t: (kernels.rotary_plain(q, *t), kernels.rotary_plain(k, *t)),  # type: ignore[attr-defined]
        ):
            leaves = [x.detach().requires_grad_() for x in given]
            out = turn(*leaves, *TABLES)
            results.append([*out, *torch.autograd.grad(out, leaves, [torch.ones_like(x) for x in out])])
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, msg=name)


def test_a_sequence_that_is_too_long_is_refused(kernels: object) -> None:
    q = torch.randn(1, 13, 2, 16)
    with pytest.raises(ValueError, match="a sequence of 13, and rotary is for 12"):
        kernels.rotary(q[:, :4], q, *TABLES)  # type: ignore[attr-defined]


def test_checks_of_pytorch(kernels: object) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        q, k = torch.randn(2, 9, 4, 16, dtype=dtype), torch.randn(2, 5, 2, 16, dtype=dtype)
        for back in (False, True):
            torch.library.opcheck(kernels.operators.rotary.default, (q, k, *TABLES, back))  # type: ignore[attr-defined]


def test_compiled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels = drawn(CASES["plain"])
    monkeypatch.setattr(kernels, "fused", always)
    torch._dynamo.reset()
    second.compile(**TRACED)
    given = inputs(CASES["plain"])
    for a, b in zip(run(first, given), run(second, given), strict=True):
        assert (a - b).abs().max() <= 1e-5 * (1 + a.abs().max())


def test_autocast_gives_what_pytorch_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, kernels = drawn(CASES["normed"])
    monkeypatch.setattr(kernels, "fused", always)
    given = inputs(CASES["normed"])
    with torch.autocast("cpu", torch.bfloat16):
        want, found = run(first, given), run(second, given)
    assert [a.dtype for a in want] == [b.dtype for b in found]
    for a, b in zip(want, found, strict=True):
        assert (a - b).abs().max() <= 0.03 * (1 + a.abs().max())


def test_what_bench_counts() -> None:
    """Queries and keys read and written, and the rows of the tables that their positions have."""
    given = {"q": torch.zeros(2, 9, 4, 16), "k": torch.zeros(2, 5, 2, 16), "cos": TABLES[0], "sin": TABLES[1]}
    use = Use("rotary", Entry("rotary", {"width": 16}), lambda **_: None, given, (), None)
    outputs = [given["q"], given["k"]]
    bytes_ = 4 * (2 * (2 * 9 * 4 * 16 + 2 * 5 * 2 * 16) + 2 * 9 * 8)
    assert kind_of("rotary").forward_work(use, outputs) == bytes_
    assert kind_of("rotary").backward_work(use, outputs) == bytes_


@pytest.mark.slow
@pytest.mark.parametrize("body", CASES.values(), ids=CASES.keys())
def test_the_file_is_as_ruff_has_it(body: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(body)).files, tmp_path)
