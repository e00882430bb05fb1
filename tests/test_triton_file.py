"""Models with kernels: the emitted files, their operators, and what they compute, against the same model without."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from triton_files import TRACED, Poisoned, always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

import dlspec
from dlspec.runtime.program import load_text

LENGTH = 40
CASES = {
    "plain": "",
    "causal": "causal = true",
    "groups": "kv_heads = 1, causal = true",
    "window": "causal = true, window = 9",
    "window on both sides": "window = 9",
    "prefix": "causal = true, prefix = 21",
    "prefix for each": "causal = true, prefix = prefix",
    "documents": "causal = true, documents = documents",
    "keys masked": "mask = keys",
    "pairs masked": "mask = pairs",
    "soft cap, alibi, scale": "causal = true, softcap = 2, alibi = true, scale = 0.3",
    "rotary": "causal = true, rotary = 10_000, qk_norm = RMSNorm",
    "own score": "causal = true, score = tilt(slope = Weight([2]), by = Weight([2], init = ones))",
    "own score of places": "causal = true, score = leaning",
    "own score with a number": "score = steep(c = 3)",
    "own score steep in weights": "score = steep(c = Weight([2], init = ones))",
    "own score with one weight": "score = sharp(a = Weight([2], init = ones))",
    "added": "score = near",
    "added, learned": "causal = true, score = x -> RelativeBias(2, buckets = 8, causal = true)",
    "added for each": "causal = true, window = 9, score = each_near, mask = keys, softcap = 2, alibi = true",
    "dropout": "causal = true, dropout = 0.2",
}
INPUTS = {
    "prefix": ("int[B]", torch.tensor([3, 33])),
    "documents": ("int[B, T]", torch.tensor([[i // 15 for i in range(LENGTH)], [i % 3 for i in range(LENGTH)]])),
    "near": ("[2, T, T]", torch.arange(2 * LENGTH * LENGTH).reshape(2, LENGTH, LENGTH) % 11 / 5 - 1),
    "each_near": ("[B, 2, T, T]", torch.arange(4 * LENGTH**2).reshape(2, 2, LENGTH, LENGTH) % 13 / 5 - 1),
    "keys": ("bool[B, T]", torch.arange(2 * LENGTH).reshape(2, LENGTH) % 7 != 3),
    "pairs": ("bool[B, T, T]", torch.arange(2 * LENGTH * LENGTH).reshape(2, LENGTH, LENGTH) % 5 != 3),
}


SCORES = """\
tilt(s, q, k, h, slope, by) = by * s - exp(slope) * abs(q - k) / (1 + h)
leaning(s, q, k, h) = s - abs(q - k) / 4
steep(s, q, k, h, c) = s * c / 4 - c * max(s, 0) ^ 0.9
sharp(s, q, k, h, a) = s * a"""


def spec(options: str, width: int = 32) -> str:
    words = {name: kind for name, (kind, _) in INPUTS.items() if f"= {name}" in options}
    inputs = "".join(f", {name}: {kind}" for name, kind in words.items())
    return f"""\
dlspec 1
{SCORES}
model Net: (x: [B, T <= 64, {width}]{inputs}) -> (y: [B, T, {width}]) {{
  x -> attn: SelfAttention(2{", " + options if options else ""}) as y
}}
"""


def inputs(options: str, width: int = 32) -> list[Tensor]:
    x = torch.randn(2, LENGTH, width, generator=torch.Generator().manual_seed(1))
    return [x, *(value for name, (_, value) in INPUTS.items() if f"= {name}" in options)]


def made(module: ModuleType) -> nn.Module:
    model = module.Net()
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def run(model: nn.Module, given: list[Tensor]) -> list[Tensor]:
    """The output, and the gradients of all weights and of what came in."""
    given = [one.clone().requires_grad_(one.is_floating_point()) for one in given]
    y = model(*given)
    torch.manual_seed(0)
    d = torch.randn(y.shape)
    leaves = [one for one in given if one.requires_grad]
    return [y, *torch.autograd.grad(y, [*leaves, *model.parameters()], d)]


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting(), Poisoned():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_as_the_plain_form_and_as_the_model_without(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three ways: without kernels, with their plain form, and with the kernels. Weights start equal, keys agree."""
    without = load_text("net", compiled(spec(options), "torch").model_code)
    module, kernels = loaded(compiled(spec(options)))
    first, second = made(without).eval(), made(module).eval()
    second.load_state_dict(first.state_dict(), strict=True)
    for a, b in zip(first.parameters(), made(module).parameters(), strict=True):
        assert torch.equal(a, b)
    given = inputs(options)
    want, plain = run(first, given), run(second, given)
    monkeypatch.setattr(kernels, "fused", always)
    fused = run(second, given)
    for a, b, c in zip(want, plain, fused, strict=True):
        scale = 1 + a.abs().max().item()
        assert (a - b).abs().max().item() <= 2e-6 * scale
        assert (a - c).abs().max().item() <= 1e-5 * scale


def test_heads_of_an_odd_width(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(spec("causal = true", 48)))
    model, given = made(module), inputs("", 48)
    want = run(model, given)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(run(model, given), want, strict=True):
        assert (a - b).abs().max().item() <= 1e-5 * (1 + b.abs().max().item())


def with_values(width: int, kv_heads: int, options: str) -> str:
    """Two heads of 16, and values of another width."""
    keys = 16 * kv_heads
    return f"""\
dlspec 1
model Net: (x: [B, T <= 64, 32], memory: [B, S <= 64, {keys}]) -> (y: [B, T, {2 * width}]) {{
  memory -> Linear({width * kv_heads}) as v
  x -> Linear(32) -> attend(keys = memory, values = v, heads = 2, kv_heads = {kv_heads}{options}) as y
}}
"""


VALUES = {
    "narrow": with_values(12, 2, ", causal = true"),
    "wide": with_values(32, 2, ", alibi = true, window = 9"),
    "wide in groups": with_values(40, 1, ", causal = true, softcap = 2"),
}


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES.keys())
def test_values_that_are_not_as_wide_as_keys(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More keys than queries. As without kernels, to the bit where none run, and by kernels."""
    module, kernels = loaded(compiled(text))
    first, second = made(load_text("net", compiled(text, "torch").model_code)), made(module)
    second.load_state_dict(first.state_dict(), strict=True)
    drawn = torch.Generator().manual_seed(1)
    keys = 16 if "kv_heads = 1" in text else 32
    given = [torch.randn(2, LENGTH, 32, generator=drawn), torch.randn(2, LENGTH + 7, keys, generator=drawn)]
    want, plain = run(first, given), run(second, given)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b, c in zip(want, plain, run(second, given), strict=True):
        scale = 1 + a.abs().max().item()
        assert (a - b).abs().max().item() <= 2e-6 * scale
        assert (a - c).abs().max().item() <= 1e-5 * scale


def test_trained_with_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a dense attention of the weights that the same seed keeps: of equal scores a key's value tells its weight."""
    length, drop = 16, 0.3
    _, kernels = loaded(compiled(spec(f"causal = true, dropout = {drop}")))
    monkeypatch.setattr(kernels, "fused", always)

    def attention(*qkv: Tensor) -> Tensor:
        torch.manual_seed(7)
        return kernels.attention(*qkv, drop)

    generator = torch.Generator().manual_seed(3)
    q, k, v, d = (torch.randn(2, length, 2, 16, generator=generator) for _ in range(4))
    marks = torch.eye(length)[None, :, None].expand(2, length, 2, length).contiguous()
    seen = torch.ones(length, length).tril().bool()
    keep = attention(torch.zeros_like(q), k, marks).transpose(1, 2) != 0
    assert 0.5 < keep[..., seen].float().mean() < 0.9

    def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = torch.einsum("bthd,bshd->bhts", q, k) / 4
        weights = scores.masked_fill(~seen, float("-inf")).softmax(-1) * keep / (1 - drop)
        return torch.einsum("bhts,bshd->bthd", weights, v)

    def computed(function: Callable[..., Tensor], *given: Tensor) -> list[Tensor]:
        leaves = [x.clone().requires_grad_() for x in given]
        y = function(*leaves)
        return [y, *torch.autograd.grad(y, leaves, d.to(y.dtype))]

    want = computed(dense, q.double(), k.double(), v.double())
    for a, b in zip(computed(attention, q, k, v), want, strict=True):
        assert (a - b).abs().max() <= 1e-5 * (1 + b.abs().max())


def test_several_attentions_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has kernels of its own where they differ, under numbered names; alike they share them."""
    text = """\
dlspec 1
model Net: (x: [B, T <= 64, 32]) -> (y: [B, T, 32]) {
  x -> near: SelfAttention(2, causal = true, window = 5) -> far: SelfAttention(2, causal = true)
    -> also: SelfAttention(2, causal = true, window = 7) as y
}
"""
    artefact = compiled(text)
    kernels_text = artefact.kernels["net_kernels.py"]
    assert kernels_text.count("def attention(") == kernels_text.count("def attention_2(") == 1
    assert "attention_3" not in kernels_text
    module, kernels = loaded(artefact)
    model, given = made(module), inputs("")
    want = run(model, given)
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(run(model, given), want, strict=True):
        assert (a - b).abs().max().item() <= 1e-5 * (1 + b.abs().max().item())


def test_another_value_of_a_constant_makes_other_kernels() -> None:
    """What a process has written is kept, and both values go by the same name."""
    text = """\
dlspec 1
slope = 0.25
near(s, q, k, h) = slope * tanh(s / slope)
model Net: (x: [B, T, 32]) -> (y: [B, T, 32]) {
  SelfAttention(2, score = near, window = 4) -> (Linear(32) -> leaky_relu(slope)) * Linear(32) -> Linear(32)
}
"""
    first, other = (compiled(one).imported["net_kernels.py"] for one in (text, text.replace("0.25", "0.75")))
    assert first.count("0.25") > 2
    assert "0.75" in other
    assert "0.25" not in other


def test_what_operators_make_is_no_number_before_it_is_written() -> None:
    """Here: the tests of files hold what launchers hand out to be written throughout."""
    library = torch.library.Library("unwritten", "FRAGMENT")
    library.define("room(Tensor x) -> Tensor[]")
    library.impl("room", lambda x: [torch.empty(3), torch.empty_like(x), x.new_empty(4)], "CPU")
    assert all(room.isnan().all() for room in torch.ops.unwritten.room(torch.zeros(2)))


def test_a_model_without_what_has_kernels_has_no_such_file() -> None:
    text = "dlspec 1\nmodel Net: (x: [B, 4]) -> (y: [B, 4]) {\n  x -> Linear(4) as y\n}\n"
    assert list(compiled(text).files) == ["net.py"]


def test_where_there_are_no_kernels_for_an_option_the_plain_form_stands() -> None:
    text = """\
dlspec 1
model Net: (x: [B, T <= 64, 32]) -> (y: [B, T, 514]) {
  x -> Linear(514, bias = false) as v
  x -> attend(keys = x, values = v, heads = 2) as y
}
"""
    artefact = compiled(text)
    assert artefact.files == compiled(text, "torch").files
    assert artefact.without_kernels == {"attend": "heads wider than 256"}


class TestOperators:
    def test_checks_of_pytorch(self) -> None:
        _, kernels = loaded(compiled(spec("causal = true, window = 9")))
        q, k, v = (torch.randn(1, 32, 2, 16) for _ in range(3))
        forward, backward = kernels.operators.attention_forward, kernels.operators.attention_backward
        torch.library.opcheck(forward.default, (q, k, v, 9))
        out, lse = forward(q, k, v, 9)
        torch.library.opcheck(backward.default, (torch.randn_like(out), q, k, v, out, lse, 9))

    def test_checks_of_a_score_without_weights(self) -> None:
        artefact = compiled(spec("causal = true, score = leaning"))
        _, kernels = loaded(artefact)
        q, k, v = (torch.randn(1, 32, 2, 16) for _ in range(3))
        forward, backward = kernels.operators.attention_forward, kernels.operators.attention_backward
        torch.library.opcheck(forward.default, (q, k, v))
        out, lse = forward(q, k, v)
        torch.library.opcheck(backward.default, (torch.randn_like(out), q, k, v, out, lse))
        assert not re.search("score_by_weights|LANES|shares", artefact.kernels["net_kernels.py"])

    def test_checks_of_other_values(self) -> None:
        _, kernels = loaded(compiled(VALUES["narrow"]))
        q, k, v = torch.randn(1, 32, 2, 16), torch.randn(1, 40, 2, 16), torch.randn(1, 40, 2, 12)
        forward, backward = kernels.operators.attention_forward, kernels.operators.attention_backward
        torch.library.opcheck(forward.default, (q, k, v))
        out, lse = forward(q, k, v)
        assert out.shape == (1, 32, 2, 12)
        torch.library.opcheck(backward.default, (torch.randn_like(out), q, k, v, out, lse))

    def test_compiled_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, kernels = loaded(compiled(spec("causal = true")))
        monkeypatch.setattr(kernels, "fused", always)
        q, k, v = (torch.randn(1, 32, 2, 16, requires_grad=True) for _ in range(3))
        torch._dynamo.reset()
        y = torch.compile(kernels.attention, **TRACED)(q, k, v)
        want = kernels.attention_plain(q, k, v)
        assert (y - want).abs().max() <= 1e-5
        for a, b in zip(*(torch.autograd.grad(z.square().sum(), (q, k, v)) for z in (y, want)), strict=True):
            assert (a - b).abs().max() <= 1e-4

    def test_a_second_derivative_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, kernels = loaded(compiled(spec("causal = true")))
        monkeypatch.setattr(kernels, "fused", always)
        q, k, v = (torch.randn(1, 16, 2, 16, requires_grad=True) for _ in range(3))
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(kernels.attention(q, k, v).square().sum(), q, create_graph=True)

    def test_autocast_hands_in_half_precision(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, kernels = loaded(compiled(spec("causal = true")))
        monkeypatch.setattr(kernels, "fused", always)
        q, k, v = (torch.randn(1, 16, 2, 16) for _ in range(3))
        with torch.autocast("cpu", torch.bfloat16):
            assert kernels.attention(q, k, v).dtype == torch.bfloat16

    def test_one_file_under_two_names_and_again(self, tmp_path: Path) -> None:
        """Operators are defined once in a process, and outlive the module that defined them."""
        text = compiled(spec("causal = true, window = 3"), name="twice").kernels["twice_kernels.py"]
        modules = []
        for name in ("one", "two"):
            path = tmp_path / f"{name}.py"
            path.write_text(text, encoding="utf-8")
            module_spec = importlib.util.spec_from_file_location(name, path)
            assert module_spec is not None and module_spec.loader is not None
            module = importlib.util.module_from_spec(module_spec)
            module_spec.loader.exec_module(module)
            modules.append(module)
        assert modules[0].operators is modules[1].operators
        first = modules.pop(0)
        namespace = first.NAMESPACE
        del first
        assert getattr(torch.ops, namespace).attention_forward is modules[0].operators.attention_forward


@pytest.mark.slow
def test_without_triton_the_plain_form_runs(tmp_path: Path) -> None:
    """A machine without a GPU need not have Triton."""
    artefact = compiled(spec("causal = true"))
    for name, text in artefact.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program = """\
import sys
sys.modules["triton"] = None
import torch, net
print(net.Net()(torch.randn(1, 8, 32)).shape)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "torch.Size([1, 8, 32])", done.stderr


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES.keys())
def test_the_file_of_other_values_is_as_ruff_has_it(text: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(text).files, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_the_file_is_as_ruff_has_it(options: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(options)).files, tmp_path)


@pytest.mark.slow
def test_trained_resumed_and_exported_without_a_gpu(tmp_path: Path) -> None:
    """A recipe that asks for kernels runs their plain forms on a CPU: the same losses, and files that are proved."""
    (tmp_path / "a.txt").write_text("To be, or not to be, that is the question. " * 40, encoding="utf-8")
    text = """\
dlspec 1
model Lm: (tokens: int[B, T <= 16]) -> (logits: [B, T, 256]) {
  tokens -> Embedding(256, 16) -> attn: SelfAttention(2, causal = true, dropout = 0.1) -> head: Linear(256)
}
train Lm {
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = cross_entropy(logits, data.targets)
  optimizer = AdamW(lr = 1e-3)
  steps = 4
  batch = 4
  kernels = triton
}
export Lm {
  onnx("lm.onnx")
  torchscript("lm.pt")
}
"""
    spec = tmp_path / "lm.dlspec"
    spec.write_text(text, encoding="utf-8")
    losses = {}
    for kernels in ("triton", "torch"):
        folder = tmp_path / kernels
        dlspec.train(spec, run=folder, set=[f"train.kernels={kernels}"])
        assert (folder / "lm_kernels.py").exists() is (kernels == "triton")
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses[kernels] = [record["loss"] for record in records]
    assert losses["triton"] == losses["torch"]
    found = dlspec.export(tmp_path / "triton", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"lm.onnx", "lm.pt"}, found
