"""What is added to the scores of an attention (`score = a value`): its gradient, its operators, and T5's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from triton_attention import Options, Tiles, backward, forward, reference, seen
from triton_files import TRACED, Poisoned, always, compiled, loaded
from triton_templates import interpreting

import dlspec
from dlspec.runtime.program import load_text

BATCH, LENGTH = 3, 40
ATTENTION = """\
dlspec 1
model Net: (x: [B, T <= 64, 32], near: [2, T, T]) -> (y: [B, T, 32]) {
  x -> attn: SelfAttention(2, causal = true, score = near) as y
}
"""


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def inputs(heads: int = 2, width: int = 16) -> list[Tensor]:
    """q, k, v and the gradient of what comes out."""
    return [numbers(BATCH, LENGTH, heads, width, seed=i) for i in range(4)]


def gradient(options: Options, tiles: Tiles, given: list[Tensor]) -> Tensor:
    q, k, v, d_out = given
    out, lse = forward(q, k, v, options, tiles)
    return backward(q, k, v, out, lse, d_out, options, tiles)[-1]


HIDING: dict[str, dict[str, Any]] = {
    "causal": {"causal": True},
    "causal window": {"causal": True, "window": 5},
    "window": {"window": 5},
    "prefix": {"causal": True, "prefix": 9},
    "prefix for each": {"causal": True, "prefix": torch.tensor([0, 9, 4], dtype=torch.int32)},
    "prefix in a window": {"causal": True, "window": 7, "prefix": 21},
    "documents": {"documents": (torch.arange(LENGTH) // 15).expand(BATCH, LENGTH).int().contiguous()},
    "keys": {"mask": (torch.arange(LENGTH) % 7 != 3).expand(BATCH, LENGTH).contiguous()},
}


@pytest.mark.slow
@pytest.mark.parametrize("each", [False, True], ids=["for all", "for each"])
@pytest.mark.parametrize("hiding", HIDING.values(), ids=HIDING.keys())
def test_what_nobody_sees_has_exactly_no_gradient(hiding: dict[str, Any], each: bool) -> None:
    """Every entry is written: memory was NaN before."""
    shape = (BATCH, 1, LENGTH, LENGTH) if each else (1, LENGTH, LENGTH)
    options = Options(**hiding, bias=numbers(*shape, seed=9))
    given = inputs(heads=1)
    visible = seen(given[0], given[1], options).expand(BATCH, 1, LENGTH, LENGTH)
    hidden = ~(visible if each else visible.any(0))
    found = gradient(options, Tiles(16, 16), given)
    assert hidden.any() and not torch.isnan(found).any()
    assert (found[hidden] == 0).all() and (found[~hidden] != 0).float().mean() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("tiles", [Tiles(16, 32), Tiles(32, 16)])
def test_one_for_all_examples_sums_theirs_in_their_order(tiles: Tiles) -> None:
    """To the bit, whatever else is asked for."""
    table = numbers(1, LENGTH, LENGTH, seed=9)
    options = {"causal": True, "softcap": 2.0, "drop": 0.25, "seed": torch.tensor([77])}
    each = gradient(Options(**options, bias=table.expand(BATCH, -1, -1, -1).contiguous()), tiles, inputs(1))
    assert torch.equal(gradient(Options(**options, bias=table), tiles, inputs(1)), sum(each.unbind(), torch.zeros(())))


@pytest.mark.slow
def test_infinity_hides_as_a_mask_does() -> None:
    """A tile of it, a row of it, and single keys."""
    visible = numbers(2, LENGTH, LENGTH, seed=5) > -0.5
    visible[:, :, :16] = False
    visible[:, 7] = False
    options = Options(bias=torch.zeros(2, LENGTH, LENGTH).masked_fill(~visible, float("-inf")))
    q, k, v, d_out = inputs()
    out, lse = forward(q, k, v, options, Tiles(16, 16))
    found = [out, *backward(q, k, v, out, lse, d_out, options, Tiles(16, 16))]
    leaves = [x.double().requires_grad_() for x in (q, k, v, torch.zeros(2, LENGTH, LENGTH))]
    scores = torch.einsum("bthd,bshd->bhts", leaves[0], leaves[1]) / 4 + leaves[3]
    weights = scores.masked_fill(~visible, -1e9).softmax(-1).masked_fill(~visible, 0.0)
    y = torch.einsum("bhts,bshd->bthd", weights, leaves[2])
    for a, b in zip(found, [y, *torch.autograd.grad(y, leaves, d_out.double())], strict=True):
        assert torch.isfinite(a).all() and (a - b).abs().max() <= 1e-5 * LENGTH**0.5


@pytest.mark.slow
@pytest.mark.parametrize("of_bias", [torch.float32, None], ids=["bias in float32", "all alike"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_at_most_twice_the_error_of_pytorch(dtype: torch.dtype, of_bias: torch.dtype | None) -> None:
    given = [x.to(dtype) for x in inputs(width=32)]
    table = numbers(2, LENGTH, LENGTH, seed=9).to(of_bias or dtype)
    found = gradient(Options(causal=True, bias=table), Tiles(32, 32), given)
    errors = []
    for at in (torch.float64, dtype):
        leaf = table.to(at).requires_grad_()
        q, k, v, d_out = (x.to(at) for x in given)
        y = reference(q, k, v, Options(causal=True, bias=leaf))
        errors.append(torch.autograd.grad(y, leaf, d_out)[0])
    want, rough = errors
    assert found.dtype == table.dtype
    assert (found - want).abs().max() <= 2 * (rough - want).abs().max()


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    return loaded(compiled(ATTENTION))[1]


class TestOperators:
    def given(self) -> list[Tensor]:
        return [*inputs()[:3], numbers(2, LENGTH, LENGTH, seed=9)]

    @pytest.mark.slow
    def test_checks_of_pytorch(self, kernels: ModuleType) -> None:
        given, operators = self.given(), kernels.operators
        torch.library.opcheck(operators.attention_forward.default, tuple(given))
        out, lse = operators.attention_forward(*given)
        d_out = torch.randn_like(out)
        backward = (d_out, *given[:3], out, lse, given[3])
        torch.library.opcheck(operators.attention_backward.default, backward)
        delta = operators.attention_backward(*backward)[-1]
        torch.library.opcheck(operators.attention_backward_bias.default, (d_out, *given[:3], lse, delta, given[3]))

    def test_every_entry_is_written(self, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "fused", always)
        leaves = [one.requires_grad_() for one in self.given()]
        want = kernels.attention_plain(*leaves)
        with Poisoned():
            y = kernels.attention(*leaves)
            found = [y, *torch.autograd.grad(y.square().sum(), leaves)]
        for a, b in zip(found, [want, *torch.autograd.grad(want.square().sum(), leaves)], strict=True):
            assert (a - b).abs().max() <= 1e-5 * (1 + b.abs().max())

    def test_rows_that_do_not_lie_side_by_side(self, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        """As those of a table that has its heads last."""
        monkeypatch.setattr(kernels, "fused", always)
        q, k, v, _ = self.given()
        table = numbers(LENGTH, LENGTH, 2, seed=9).requires_grad_()
        y, plain = (attend(q, k, v, table.permute(2, 0, 1)) for attend in (kernels.attention, kernels.attention_plain))
        found, want = (torch.autograd.grad(one.square().sum(), table)[0] for one in (y, plain))
        assert (found - want).abs().max() <= 1e-4

    def test_without_need_there_is_no_gradient(self, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is added as data costs no pass of its own."""
        monkeypatch.setattr(kernels, "fused", always)
        q, k, v, table = self.given()
        for needed in (False, True):
            q.requires_grad_()
            y = kernels.attention(q, k, v, table.clone().requires_grad_(needed))
            with torch.profiler.profile() as seen_by:
                y.sum().backward()
            names = {event.name for event in seen_by.events() or ()}
            assert f"{kernels.NAMESPACE}::attention_backward" in names
            assert (f"{kernels.NAMESPACE}::attention_backward_bias" in names) is needed

    @pytest.mark.slow
    def test_compiled_whole(self, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "fused", always)
        leaves = [one.requires_grad_() for one in self.given()]
        torch._dynamo.reset()
        y, want = torch.compile(kernels.attention, **TRACED)(*leaves), kernels.attention_plain(*leaves)
        assert (y - want).abs().max() <= 1e-5
        for a, b in zip(*(torch.autograd.grad(z.square().sum(), leaves) for z in (y, want)), strict=True):
            assert (a - b).abs().max() <= 1e-4

    def test_the_plain_form_has_its_derivative(self, kernels: ModuleType) -> None:
        shapes = [(2, 5, 2, 3)] * 3 + [(2, 5, 5)]
        leaves = [numbers(*shape, seed=i).double().requires_grad_() for i, shape in enumerate(shapes)]
        assert torch.autograd.gradcheck(kernels.attention_plain, leaves)


# --- T5 ---

STACK = """\
dlspec 1
model Net: (x: [B, T <= 64, 32]) -> (y: [B, T, 32]) {
  near = x -> RelativeBias(2, buckets = 8, distance = 16)
  x -> repeat(2) { residual { SelfAttention(2, score = near) } } as y
}
"""


def test_all_of_a_stack_read_one_table_and_none_copies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward and backward; where heads stand last, each launcher of each layer would."""
    copied: list[tuple[int, ...]] = []
    contiguous = Tensor.contiguous

    def noted(given: Tensor) -> Tensor:
        made = contiguous(given)
        if made.data_ptr() != given.data_ptr():
            copied.append(tuple(made.shape))
        return made

    module, kernels = loaded(compiled(STACK))
    model, plain = (one.Net() for one in (module, load_text("net", compiled(STACK, "torch").model_code)))
    model.init_weights(torch.Generator().manual_seed(0))
    plain.load_state_dict(model.state_dict(), strict=True)
    x = numbers(2, 20, 32, seed=1)
    weights = [list(one.parameters()) for one in (model, plain)]
    want = torch.autograd.grad(plain(x).square().sum(), weights[1])
    monkeypatch.setattr(kernels, "fused", always)
    monkeypatch.setattr(Tensor, "contiguous", noted)
    found = torch.autograd.grad(model(x).square().sum(), weights[0])
    assert (2, 20, 20) not in copied
    kernels.attention(*[x.unflatten(-1, (2, 16))] * 3, torch.zeros(20, 20, 2).permute(2, 0, 1))
    assert copied.count((2, 20, 20)) == 1  # this one is seen
    for a, b in zip(found, want, strict=True):
        assert (a - b).abs().max() <= 2e-5 * (1 + b.abs().max())


def t5(repo: Path) -> str:
    """The shipped one, small, and with data of this folder."""
    text = (repo / "specs" / "t5.dlspec").read_text(encoding="utf-8")
    for before, after in (
        ("vocab = 32_128", "vocab = 256"),
        ("dim   = 512", "dim   = 32"),
        ("heads = 8", "heads = 2"),
        ("depth = 6", "depth = 1"),
        ("head_dim = 64", "head_dim = 16"),
        ('pairs("train.source", "train.target", tokenizer = "tokenizer.json", window = 512)',
         'pairs("a.txt", "b.txt", window = 24)'),
        ("stable(10_000)", "stable(2)"),
        ("steps     = 524_288", "steps     = 4"),
        ("batch     = 128", "batch     = 4"),
    ):  # fmt: skip
        assert before in text
        text = text.replace(before, after)
    return text


@pytest.mark.slow
def test_t5_calls_kernels_that_compute_what_it_computes_without(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = compiled(t5(repo), name="t5")
    assert (
        "attention_backward_bias_2[" in artefact.kernels["t5_kernels.py"]
    )  # the decoder's; the first is the encoder's
    module, kernels = loaded(artefact)
    model = module.T5()
    model.init_weights(torch.Generator().manual_seed(0))
    model.eval()
    source = torch.randint(1, 256, (2, 20), generator=torch.Generator().manual_seed(1))
    source[1, 13:] = 0
    target = torch.randint(1, 256, (2, 12), generator=torch.Generator().manual_seed(2))

    def passes() -> list[Tensor]:
        logits = model(source, target)
        return [logits, *torch.autograd.grad(logits.square().sum(), list(model.parameters()))]

    want = passes()
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(passes(), want, strict=True):
        assert (a - b).abs().max() <= 2e-5 * (1 + b.abs().max())


@pytest.mark.slow
def test_t5_trained_and_exported_as_without_kernels(repo: Path, tmp_path: Path) -> None:
    """On a CPU: the same losses to the bit, and a file that is proved."""
    for name, line in (("a.txt", "To be, or not to be.\n"), ("b.txt", "Sein oder nicht sein.\n")):
        (tmp_path / name).write_text(line * 40, encoding="utf-8")
    (tmp_path / "t5.dlspec").write_text(t5(repo), encoding="utf-8")
    losses = {}
    for word in ("triton", "torch"):
        dlspec.train(tmp_path / "t5.dlspec", run=tmp_path / word, set=[f"train.kernels={word}"])
        records = (tmp_path / word / "metrics.jsonl").read_text().splitlines()
        losses[word] = [json.loads(record)["loss"] for record in records]
    assert losses["triton"] == losses["torch"]
    dlspec.export(tmp_path / "triton", tmp_path / "out")
    assert (tmp_path / "out" / "t5.onnx").exists()
