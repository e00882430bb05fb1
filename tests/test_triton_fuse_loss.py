"""Models that compute the loss of their last Linear: what is emitted, and that it is the loss of the plain model."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from loss_models import COUNTS, HEADS, OPTIONS, VOCAB, batch, drawn, gradients, spec
from torch import Tensor
from torch.overrides import TorchFunctionMode
from triton_files import TRACED, Poisoned, always, compiled, hold_to_ruff, loaded
from triton_templates import interpreting

from dlspec.runtime.program import load_text

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


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
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(loss, model.get_parameter("head.weight"), create_graph=True)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_files_are_as_ruff_has_them(head: str, options: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(head, options)).files, tmp_path)
