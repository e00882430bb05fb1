"""Models that compute the loss of their last Linear: what is emitted, and that it is the loss of the plain model."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from triton_files import TRACED, Poisoned, always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

import dlspec
from dlspec.runtime.program import load_text

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")

HEADS = {"plain": "", "without bias": ", bias = false", "tied": ", bias = false, weight = wte.weight"}
VOCAB = 256
COUNTS = [(7 * i % 5) / 128 for i in range(VOCAB)]
"""Of classes: so little that what a mean is divided by is less than 1, and nothing for some."""
OPTIONS = {
    "plain": "",
    "smoothing and ignore": ", smoothing = 0.1, ignore = 0",
    "z": ", z_loss = 0.01",
    "weights": f", weight = {COUNTS}",
    "sum": ", reduce = sum",
    "all": f", smoothing = 0.1, ignore = 0, z_loss = 0.01, weight = {COUNTS}, reduce = sum",
}


def spec(head: str = "", options: str = "", more: str = "", loss: str = "") -> str:
    return f"""\
dlspec 1
model Lm: (tokens: int[B, T <= 32]) -> (logits: [B, T, {VOCAB}]) {{
  tokens -> wte: Embedding({VOCAB}, 16) -> relu -> head: Linear({VOCAB}{head})
}}
train Lm {{
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = {loss or f"cross_entropy(logits, data.targets{options})"}
  optimizer = AdamW(lr = 1e-2)
  steps = 4
  batch = 4
  kernels = triton
{more}}}
"""


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def drawn(module: ModuleType, seed: int = 2) -> nn.Module:
    model = module.Lm()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return model


def batch(B: int = 2, T: int = 20) -> tuple[Tensor, Tensor]:
    """Among the targets are some that do not count, and 0."""
    tokens, targets = torch.randint(0, VOCAB, (2, B, T), generator=torch.Generator().manual_seed(1))
    targets[0, :2], targets[0, 2] = -100, 0
    return tokens, targets


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(3 * loss, list(model.parameters()))]


ALONE = [("plain", "plain"), ("plain", "weights"), ("plain", "all"), ("without bias", "all"), ("tied", "z")]


@pytest.mark.slow
@pytest.mark.parametrize(("head", "options"), [(HEADS[a], OPTIONS[b]) for a, b in ALONE], ids=map("-".join, ALONE))
def test_the_loss_of_the_plain_model(head: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In three chunks. Weights start equal and keys agree; without targets there are logits as before."""
    plain = compiled(spec(head, options), "torch")
    module, kernels = loaded(compiled(spec(head, options)))
    first, second = drawn(load_text("net", plain.model_code)), drawn(module)
    second.load_state_dict(first.state_dict(), strict=True)
    assert list(first.state_dict()) == list(second.state_dict())
    recipe = load_text("net_recipe", plain.recipe_code or "")
    tokens, targets = batch(5, 28)
    assert torch.equal(first(tokens), second(tokens))
    want = gradients(first, recipe.loss(first(tokens), targets))
    without = gradients(second, second(tokens, targets=targets))
    exact = gradients(first.double(), recipe.loss(first(tokens), targets))
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = gradients(second, second(tokens, targets=targets))
    for a, b, c, d in zip(want, without, found, exact, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(c.double(), d, atol=1e-4, rtol=0)


# Each pair of options is there with both, one and none of them: smoothing, ignore, weights, a sum, a bias.
PAIRS = ["", "w b", "i r", "i w r b", "s r b", "s w r", "s i b", "s i w"]


@pytest.mark.parametrize("asked", PAIRS)
def test_pairs_of_options(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In three chunks, against F.cross_entropy in float64: the loss, and its gradients by all that is learned."""
    smoothing, ignored, weighed, summed, biased = (letter in asked for letter in "siwrb")
    V, width = 33, 4
    counts = COUNTS[:V] if weighed else None
    options = ", smoothing = 0.1" * smoothing + ", ignore = 0" * ignored + ", reduce = sum" * summed
    options += f", weight = {counts}" if weighed else ""
    text = spec("" if biased else ", bias = false", options).replace(f"T, {VOCAB}]", f"T, {V}]")
    text = text.replace(f"head: Linear({VOCAB}", f"head: Linear({V}").replace(f"({VOCAB}, 16)", f"({VOCAB}, {width})")
    _, kernels = loaded(compiled(text.replace('text("a.txt", tokenizer = bytes, window = 16)', 'arrays("a.npz")')))
    generator = torch.Generator().manual_seed(3)
    leaves = [torch.randn(shape, generator=generator) for shape in ((2, 20, width), (V, width), (V,))]
    leaves = [leaf.requires_grad_() for leaf in leaves[: 2 + biased]]
    targets = torch.randint(0, V, (2, 20), generator=generator)
    targets[0, :2], targets[0, 2] = -100, 0
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    labels = (targets.masked_fill(targets == 0, -100) if ignored else targets).flatten()
    each = None if counts is None else torch.tensor(counts, dtype=torch.float64)
    reduction = "sum" if summed else "mean"
    rows = F.linear(*exact).flatten(0, 1)
    want = F.cross_entropy(rows, labels, each, reduction=reduction, label_smoothing=0.1 * smoothing)
    want = want / len(targets) if summed else want
    monkeypatch.setattr(kernels, "fused", always)
    numbers = [*([0.1] if smoothing else []), *([0] if ignored else [])]
    given = [targets, *([] if each is None else [each.float()]), *numbers]
    with Poisoned():
        found = kernels.linear_cross_entropy(*leaves, *given)
        gradients = torch.autograd.grad(3 * found, leaves)
    torch.testing.assert_close(found.double(), want, atol=1e-5, rtol=1e-6)
    for a, b in zip(gradients, torch.autograd.grad(3 * want, exact), strict=True):
        torch.testing.assert_close(a.double(), b, atol=1e-5, rtol=1e-5)


def test_what_classes_count_moves_and_is_no_state() -> None:
    """A cast does not round it, and it is there where memory was given to a model anew."""
    module, _ = loaded(compiled(spec(options=OPTIONS["weights"])))
    model, counts = module.Lm(), torch.tensor(COUNTS)
    assert list(model.state_dict()) == ["wte.weight", "head.weight", "head.bias"]
    assert torch.equal(model.head.class_weights, counts)
    assert torch.equal(copy.deepcopy(model).to(torch.bfloat16).double().head.class_weights, counts)
    assert model.to("meta").head.class_weights.is_meta
    assert torch.equal(model.to_empty(device="cpu").head.class_weights, counts)
    with torch.device("meta"):
        model = module.Lm()
    assert torch.equal(model.to_empty(device="cpu").head.class_weights, counts)


def test_weights_start_as_without() -> None:
    for head in HEADS.values():
        models = [load_text("net", compiled(spec(head), "torch").model_code).Lm(), loaded(compiled(spec(head)))[0].Lm()]
        for model in models:
            model.init_weights(torch.Generator().manual_seed(0))
        first, second = (model.state_dict() for model in models)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_the_files_say() -> None:
    artefact = compiled(spec(", bias = false", ", smoothing = 0.1, ignore = 0"))
    code = artefact.model_code
    assert "; with targets, the loss" in code
    assert f"self.head = LinearCrossEntropy(16, {VOCAB}, bias=False, smoothing=0.1, ignore=0)" in code
    assert "def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:" in code
    assert "return self.head(x, targets)" in code
    assert "def forward(self, tokens: Tensor) -> Tensor:" in artefact.export_code
    assert artefact.settings is not None
    assert artefact.settings["loss"]["in_model"] == {"targets": "data.targets"}
    assert artefact.kernels["net_kernels.py"].count("def cross_entropy_forward(") == 1
    assert "bias" not in artefact.kernels["net_kernels.py"].split("class LinearCrossEntropy")[0]
    assert "in_model" not in json.dumps(compiled(spec(), "torch").settings)


NOT_FUSED = {
    "few classes": spec().replace("Embedding(256, 16)", "Embedding(256, 256)"),
    "a layer behind it": spec().replace("head: Linear(256)", "head: Linear(256) -> gelu + identity"),
    "scaled": spec(loss="0.5 * cross_entropy(logits, data.targets)"),
    "a sum": spec(loss="cross_entropy(logits, data.targets) + mse(logits, 0)"),
    "another loss": spec(loss="mse(logits, 0)"),
    "one class for all": spec(loss="cross_entropy(logits, 3)"),
    "two outputs": spec()
    .replace("(logits: [B, T, 256])", "(logits: [B, T, 256], hidden: [B, T, 16])")
    .replace("-> relu -> head: Linear(256)", "-> relu as hidden\n  head: Linear(256) as logits"),
    "read elsewhere": spec().replace("head: Linear(256)", "head: Linear(256) as y\n  y + 0 * y"),
}


@pytest.mark.parametrize("text", NOT_FUSED.values(), ids=NOT_FUSED.keys())
def test_where_the_model_gives_logits_alone(text: str) -> None:
    artefact = compiled(text)
    assert "LinearCrossEntropy" not in artefact.model_code and "targets" not in artefact.model_code
    assert artefact.settings is not None
    assert "in_model" not in artefact.settings["loss"]


def test_targets_have_a_name_that_nothing_has() -> None:
    """Here they are what comes in, too."""
    artefact = compiled(spec(loss="cross_entropy(logits, tokens)"))
    assert artefact.settings is not None
    assert artefact.settings["loss"]["in_model"] == {"tokens_2": "input.tokens"}
    assert "def forward(self, tokens: Tensor, tokens_2: Tensor | None = None)" in artefact.model_code


def test_open_sizes_are_not_read_off_the_targets() -> None:
    """They are there in training alone."""
    text = spec().replace("int[B, T <= 32]", "int[B, 2 * T]").replace("-> relu ->", "-> reshape([B, T, 32]) ->")
    text = text.replace('text("a.txt", tokenizer = bytes, window = 16)', 'arrays("a.npz")')
    code = compiled(text).model_code
    assert "tokens.shape[1] // 2" in code
    assert "targets.shape" not in code


def test_half_precision_by_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twice the error of PyTorch at the same precision, against float64."""
    plain = compiled(spec(), "torch")
    module, kernels = loaded(compiled(spec()))
    recipe = load_text("net_recipe", plain.recipe_code or "")
    tokens, targets = batch()
    for dtype in (torch.bfloat16, torch.float16):
        model = drawn(load_text("net", plain.model_code)).to(dtype)
        theirs = gradients(model, recipe.loss(model(tokens), targets))
        exact_model = drawn(load_text("net", plain.model_code))
        exact_model.load_state_dict(model.state_dict())
        exact_model.double()
        exact = gradients(exact_model, recipe.loss(exact_model(tokens), targets))
        second = drawn(module).to(dtype)
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "fused", always)
            found = gradients(second, second(tokens, targets=targets))
        assert found[0].dtype == torch.float32
        for ours, other, true in zip(found, theirs, exact, strict=True):
            rounding = torch.finfo(dtype).eps * true.abs().max()
            assert (ours - true).abs().max() <= max(2 * (other - true).abs().max(), rounding)


def test_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are bfloat16, the loss and the gradients of weights float32."""
    plain = compiled(spec(), "torch")
    module, kernels = loaded(compiled(spec()))
    monkeypatch.setattr(kernels, "fused", always)
    recipe = load_text("net_recipe", plain.recipe_code or "")
    first, second = drawn(load_text("net", plain.model_code)), drawn(module)
    tokens, targets = batch()
    with torch.autocast("cpu", torch.bfloat16):
        loss, logits = second(tokens, targets=targets), first(tokens)
    want, found = gradients(first, recipe.loss(logits.float(), targets)), gradients(second, loss)
    for a, b in zip(want, found, strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(b, a, atol=2e-2 * a.abs().max().item(), rtol=0)


@pytest.mark.parametrize("options", ["plain", "weights", "sum"])
def test_where_no_target_counts(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of nothing is no number, its sum 0, and the gradient of both 0, as PyTorch has it."""
    module, kernels = loaded(compiled(spec(options=OPTIONS[options])))
    model = drawn(module)
    tokens, targets = batch()
    targets = torch.full_like(targets, -100)
    want = gradients(model, model(tokens, targets=targets))
    monkeypatch.setattr(kernels, "fused", always)
    for a, b in zip(want, gradients(model, model(tokens, targets=targets)), strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.nan_to_num(), b.nan_to_num())


def test_only_the_gradients_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    module, kernels = loaded(compiled(spec()))
    monkeypatch.setattr(kernels, "fused", always)
    model = drawn(module)
    tokens, targets = batch()
    want = gradients(model, model(tokens, targets=targets))
    with torch.no_grad():
        assert torch.equal(model(tokens, targets=targets), want[0])
    weights = dict(model.named_parameters())
    for frozen, trained in (("wte.weight", ["head.weight", "head.bias"]), ("head.weight", ["wte.weight", "head.bias"])):
        weights[frozen].requires_grad_(False)
        found = torch.autograd.grad(3 * model(tokens, targets=targets), [weights[name] for name in trained])
        for name, gradient in zip(trained, found, strict=True):
            torch.testing.assert_close(gradient, want[1 + list(weights).index(name)])
        weights[frozen].requires_grad_(True)


def test_a_scaled_loss_keeps_small_gradients_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a large scale over many rows they are as large as without; divided first, they would be 0."""
    _, kernels = loaded(compiled(spec(", bias = false")))
    monkeypatch.setattr(kernels, "fused", always)
    x, weight = torch.randn(4, 3).half().requires_grad_(), torch.randn(5, 3).half()
    labels = torch.tensor([1, 2, 3, 4])
    wide = x.detach().double().requires_grad_()
    exact = torch.autograd.grad(F.cross_entropy(wide @ weight.double().t(), labels) * 2.0**14, wide)[0]
    found = torch.autograd.grad(kernels.linear_cross_entropy(x, weight, labels) * 2.0**14, x)[0]
    torch.testing.assert_close(found.double(), exact, atol=8, rtol=5e-3)


class Largest(TorchFunctionMode):
    """The most entries that a tensor had."""

    entries = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.entries = max(self.entries, made.untyped_storage().nbytes() // made.element_size())
        return made


@pytest.mark.slow
def test_never_all_the_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    _, kernels = loaded(compiled(spec()))
    monkeypatch.setattr(kernels, "fused", always)
    x, weight, bias = torch.randn(200, 16, requires_grad=True), torch.randn(60, 16), torch.randn(60)
    with Largest() as largest:
        kernels.linear_cross_entropy(x, weight, bias, torch.arange(200) % 60).backward()
    assert largest.entries <= 200 * 16 < 200 * 60 / 3


class TestOperators:
    @pytest.mark.slow
    @pytest.mark.parametrize("head", [HEADS["plain"], HEADS["without bias"]], ids=["bias", ""])
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_checks_of_pytorch(self, head: str, options: str) -> None:
        _, kernels = loaded(compiled(spec(head, options)))
        weights = [torch.rand(33)] if "weight" in options else []
        asked = {"smoothing": 0.1, "z_loss": 0.01, "ignore": 0}
        numbers = [*weights, *(number for name, number in asked.items() if name in options)]
        learned = [torch.randn(33, 8), *([] if head else [torch.randn(33)])]
        for by_x, by_weight in ((True, True), (False, True), (True, False)):
            given = (torch.randn(10, 8), *learned, torch.arange(10), *numbers, by_x, by_weight)
            torch.library.opcheck(kernels.operators.linear_cross_entropy.default, given)

    @pytest.mark.parametrize("options", ["smoothing and ignore", "all"])
    def test_compiled_whole(self, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
        module, kernels = loaded(compiled(spec("", OPTIONS[options])))
        monkeypatch.setattr(kernels, "fused", always)
        model = drawn(module)
        tokens, targets = batch()
        want = gradients(model, model(tokens, targets=targets))
        torch._dynamo.reset()
        model.compile(**TRACED)
        for a, b in zip(gradients(model, model(tokens, targets=targets)), want, strict=True):
            assert (a - b).abs().max() <= 1e-5
        assert model(tokens).shape == (2, 20, VOCAB)

    def test_a_second_derivative_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module, kernels = loaded(compiled(spec()))
        monkeypatch.setattr(kernels, "fused", always)
        model = drawn(module)
        tokens, targets = batch()
        loss = model(tokens, targets=targets) ** 2
        (once,) = torch.autograd.grad(loss, model.get_parameter("head.weight"), create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            once.sum().backward()


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp"])
def test_in_parallel(sharded: bool, tmp_path: Path) -> None:
    """The loss comes out of `forward`, where gradients are gathered and weights put together, of the head too."""
    for name, text in compiled(spec(HEADS["without bias"])).files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program = f"""\
import gc, sys, torch, torch.distributed as dist, net
from torch.nn.parallel import DistributedDataParallel
from torch.distributed.fsdp import fully_shard
rank = int(sys.argv[1])
def learn():
    model, alone = net.Lm(), net.Lm()
    for one in (model, alone):
        one.init_weights(torch.Generator().manual_seed(0))
    tokens, targets = torch.arange(64).view(2, 2, 16)[rank], torch.arange(1, 65).view(2, 2, 16)[rank] % 256
    if {sharded}:
        mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
        fully_shard(model.head, mesh=mesh)
        fully_shard(model, mesh=mesh)
    else:
        model = DistributedDataParallel(model)
    model(tokens, targets=targets).backward()
    alone(tokens, targets=targets).backward()
    for a, b in zip(model.parameters(), alone.parameters()):
        dist.all_reduce(b.grad)
        found = a.grad.full_tensor() if {sharded} else a.grad
        torch.testing.assert_close(found, b.grad / 2)
dist.init_process_group("gloo", init_method="file://{tmp_path}/rendezvous", rank=rank, world_size=2)
learn()
# What still holds the group when Python ends would abort it: its threads run on.
gc.collect()
dist.barrier()
dist.destroy_process_group()
"""
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(rank)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for process in started:
        _, told = process.communicate(timeout=240)
        assert process.returncode == 0, told


def doubled(_: nn.Module, x: Any, logits: Tensor) -> Tensor:
    return 2 * logits


def halved(_: nn.Module, x: tuple[Tensor]) -> tuple[Tensor]:
    return (x[0] / 2,)


AROUND = {
    "what comes out": lambda head: head.register_forward_hook(doubled),
    "what comes in": lambda head: head.register_forward_pre_hook(halved),
    "a gradient": lambda head: head.register_full_backward_hook(lambda _, d_x, d_y: (2 * d_x[0],)),
    "in its place": lambda head: setattr(head, "forward", lambda x: 2 * F.linear(x, head.weight, head.bias)),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", [spec(options=OPTIONS["all"]), "a function"], ids=["options", "a function"])
@pytest.mark.parametrize("kernels", [True, False], ids=["kernels", "plain forms"])
@pytest.mark.parametrize("put", AROUND.values(), ids=AROUND.keys())
def test_hooks_of_the_head_see_logits(put: Any, kernels: bool, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the Linear: what is behind it comes after them."""
    text = with_function("soft cap") if text == "a function" else text
    plain = compiled(text, "torch")
    module, written = loaded(compiled(text))
    first, second = drawn(load_text("net", plain.model_code)), drawn(module)
    for model in (first, second):
        put(model.head)
    if kernels:
        monkeypatch.setattr(written, "fused", always)
    recipe = load_text("net_recipe", plain.recipe_code or "")
    tokens, targets = batch()
    assert torch.equal(first(tokens), second(tokens))
    want = gradients(first, recipe.loss(first(tokens), targets))
    for a, b in zip(want, gradients(second, second(tokens, targets=targets)), strict=True):
        torch.testing.assert_close(b, a, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_files_are_as_ruff_has_them(head: str, options: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(head, options)).files, tmp_path)


MORE = {
    "bf16": "  precision = bf16\n",
    "in parts": "  accumulate = 2\n  clip = 0.1\n  metrics = [accuracy(logits, data.targets)]\n",
}


@pytest.mark.parametrize("options", [OPTIONS["weights"], OPTIONS["all"]], ids=["weights", "all"])
def test_trained_by_what_classes_count(options: str, tmp_path: Path) -> None:
    """In parts, with weights that each loads of the other: the same bits as without kernels."""
    (tmp_path / "a.txt").write_text("To be, or not to be, that is the question. " * 40, encoding="utf-8")
    path = tmp_path / "lm.dlspec"
    path.write_text(spec(HEADS["tied"], options, "  accumulate = 2\n"), encoding="utf-8")
    losses, models = [], []
    for kernels in ("triton", "torch"):
        folder = tmp_path / kernels
        dlspec.train(path, run=folder, set=[f"train.kernels={kernels}"])
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses.append([record["loss"] for record in records])
        models.append(dlspec.load(folder))
    first, second = (dict(model.state_dict()) for model in models)
    assert losses[0] == losses[1]
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for model, other in zip(models, (second, first), strict=True):
        model.load_state_dict(other, strict=True)
    assert torch.equal(models[0].head.class_weights, torch.tensor(COUNTS))  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("more", MORE.values(), ids=MORE.keys())
def test_trained_resumed_and_exported_without_a_gpu(more: str, tmp_path: Path) -> None:
    """The same losses as without kernels, bit for bit, in training and validation."""
    (tmp_path / "a.txt").write_text("To be, or not to be, that is the question. " * 40, encoding="utf-8")
    path = tmp_path / "lm.dlspec"
    path.write_text(spec(HEADS["tied"], ", smoothing = 0.1", more), encoding="utf-8")
    losses = {}
    for kernels in ("triton", "torch"):
        folder = tmp_path / kernels
        dlspec.train(path, run=folder, set=[f"train.kernels={kernels}"])
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        losses[kernels] = [record["loss"] for record in records]
    assert losses["triton"] == losses["torch"]
    for arguments in (["resume", "triton", "--set", "train.steps=6"], ["verify-resume", "lm.dlspec", "--steps", "2"]):
        command = [sys.executable, "-m", "dlspec", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    dlspec.export(tmp_path / "triton", tmp_path / "out")


# --- a function of each logit behind the Linear -----------------------------------------------------------------------

FUNCTIONS = {
    "soft cap": ("cap(x, limit) = limit * tanh(x / limit)\n", "cap(limit = 2)"),
    "formula": ("", "identity / 2 -> tanh -> 2 * identity"),
    "activation": ("", "gelu"),
    "several": ("half(x) = x / 2\n", "half -> gelu -> 3 * identity"),
    "with kinks": ("bent(x) = max(x, 0) ^ 2 - min(x, 1)\n", "bent"),
}


def with_function(name: str, head: str = "", options: str = "", more: str = "") -> str:
    functions, behind = FUNCTIONS[name]
    text = spec(head, options, more)
    return text.replace("dlspec 1\n", f"dlspec 1\n{functions}").replace(f"{head})\n}}", f"{head}) -> {behind}\n}}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_goes_along(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_function(name, OPTIONS["all"], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("options", [options for name, options in OPTIONS.items() if name != "all"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_goes_along_with_each_option(name: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_function(name, options, monkeypatch)


def hold_function(name: str, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the model without kernels, bit for bit where none run; by kernels as it is in float64."""
    plain = compiled(with_function(name, options=options), "torch")
    artefact = compiled(with_function(name, options=options))
    module, kernels = loaded(artefact)
    recipe = load_text("net_recipe", plain.recipe_code or "")
    assert "return self.head(x, targets)" in artefact.model_code
    first, second = drawn(load_text("net", plain.model_code)), drawn(module)
    tokens, targets = batch()
    assert torch.equal(first(tokens), second(tokens))
    want = gradients(first, recipe.loss(first(tokens), targets))
    found = gradients(second, second(tokens, targets=targets))
    assert all(torch.equal(a, b) for a, b in zip(want, found, strict=True))
    first.double()
    exact = gradients(first, recipe.loss(first(tokens), targets))
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = gradients(second, second(tokens, targets=targets))
    for a, b in zip(exact, found, strict=True):
        torch.testing.assert_close(b.double(), a, atol=2e-5, rtol=1e-4)


def test_what_is_said_of_a_function() -> None:
    artefact = compiled(with_function("soft cap", ", bias = false"))
    kernels = artefact.kernels["net_kernels.py"]
    assert "        return 2 * torch.tanh(logits / 2)\n" in kernels
    assert "def cross_entropy_logit(x):" in kernels and "def cross_entropy_logit_by_x(x):" in kernels
    assert "def cap(" not in artefact.model_code and "cap(self.head(x), limit=2.0)" in artefact.export_code
    assert "logit(" not in compiled(spec()).kernels["net_kernels.py"]


def test_a_logit_that_is_read_elsewhere_has_its_function_apart() -> None:
    text = with_function("soft cap").replace("-> cap(limit = 2)", "as raw\n  cap(limit = 2) + 0 * raw")
    artefact = compiled(text)
    assert artefact.settings is not None and "in_model" not in artefact.settings["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_files_with_a_function_are_as_ruff_has_them(name: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(with_function(name, options=", smoothing = 0.1, z_loss = 0.01")).files, tmp_path)


@pytest.mark.slow
def test_gemma_2_never_has_its_logits() -> None:
    """The spec that is shipped: its soft cap is in the kernels, its logits are not in memory."""
    text = (Path(dlspec.__file__).parent / "specs" / "gemma2.dlspec").read_text(encoding="utf-8")
    artefact = compiled(text, "triton")
    assert artefact.settings is not None and artefact.settings["loss"]["in_model"] == {"targets": "data.targets"}
    assert "return 30 * torch.tanh(logits / 30)" in artefact.kernels[f"{artefact.name}_kernels.py"]
