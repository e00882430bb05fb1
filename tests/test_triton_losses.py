"""Recipes whose cross-entropy has kernels: the emitted text, its operators, and what they compute against PyTorch."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from loss_models import hold_training
from torch import Tensor
from triton import knobs
from triton_files import TRACED, Poisoned, always, compiled, hold_to_ruff
from triton_operators import launch_on_cpu
from triton_templates import interpreting

from dlspec.compiler.pipeline import Artefact
from dlspec.runtime.program import load_text

# Of the interpreter's numpy: exponentials of what lies below all numbers, where PyTorch and Triton say nothing.
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")

OPTIONS = {
    "plain": "",
    "smoothing": ", smoothing = 0.1",
    "ignore": ", ignore = 0",
    "both": ", smoothing = 0.1, ignore = 0",
    "z": ", z_loss = 0.01",
    "everything": ", smoothing = 0.1, ignore = 0, z_loss = 0.01",
}


def text_spec(loss: str, precision: str = "fp32", vocab: int = 256, more: str = "") -> str:
    return f"""\
dlspec 1
model Lm: (tokens: int[B, T <= 16]) -> (logits: [B, T, {vocab}]) {{
  tokens -> Embedding({vocab}, 16) -> relu -> head: Linear({vocab}) -> gelu + identity
}}
train Lm {{
  data = text("a.txt", tokenizer = bytes, window = 16)
  loss = {loss}
  optimizer = AdamW(lr = 1e-2)
  steps = 4
  batch = 4
  precision = {precision}
  kernels = triton
{more}}}
"""


def spec(options: str) -> str:
    return text_spec(f"cross_entropy(logits, data.targets{options})")


def rows_spec(loss: str, names: str = "logits: [B, 10]") -> str:
    return f"""\
dlspec 1
model Net: (image: [B, 1, 8, 8]) -> ({names}) {{
  flatten -> Linear(10)
}}
train Net {{
  data = digits
  loss = {loss}
  optimizer = AdamW(lr = 1e-2)
  steps = 4
  batch = 4
}}
"""


def loaded(artefact: Artefact) -> tuple[ModuleType, ModuleType]:
    """The recipe's module and that of its kernels, whose operators are the interpreter's on a CPU."""
    name = f"{artefact.name}_kernels"
    assert artefact.recipe_code is not None
    with knobs.runtime.scope():
        knobs.runtime.interpret = True
        recipe = load_text(f"{artefact.name}_recipe", artefact.recipe_code, artefact.imported)
    kernels = load_text(name, artefact.kernels[f"{name}.py"])
    launch_on_cpu(kernels)
    return recipe, kernels


@pytest.fixture(autouse=True)
def interpreted() -> Iterator[None]:
    with interpreting():
        yield


def drawn(*shape: int) -> tuple[Tensor, Tensor]:
    """Logits, and labels among which is one that does not count, and 0."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(shape, generator=generator)
    labels = torch.randint(0, shape[-1], shape[:-1], generator=generator)
    labels.view(-1)[0], labels.view(-1)[1] = -100, 0
    return logits, labels


def pytorch(logits: Tensor, labels: Tensor, options: str) -> Tensor:
    labels = labels.masked_fill(labels == 0, -100) if "ignore" in options else labels
    smoothing = 0.1 if "smoothing" in options else 0.0
    loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=smoothing)
    if "z_loss" not in options:
        return loss
    counted = labels.flatten() != -100
    return loss + 0.01 * (logits.flatten(0, -2).logsumexp(-1) ** 2 * counted).sum() / counted.sum()


def run(loss: Any, logits: Tensor, labels: Tensor, *more: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    mean = loss(leaf, labels, *more)
    return mean.detach(), torch.autograd.grad(3 * mean, leaf)[0]


@pytest.mark.parametrize("shape", [(7, 256), (2, 5, 300), (2, 3, 7, 1, 2, 33), (3, 1)], ids=str)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_as_pytorch_and_as_the_plain_form(
    options: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, kernels = loaded(compiled(spec(options)))
    logits, labels = drawn(*shape)
    want, plain = run(pytorch, logits, labels, options), run(recipe.loss, logits, labels)
    exact = run(pytorch, logits.double(), labels, options)
    if exact[0].isnan():  # the only class is ignored
        exact = exact[0], torch.zeros_like(exact[1])
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = run(recipe.loss, logits, labels)
    for a, b, c, d in zip(want, plain, found, exact, strict=True):
        torch.testing.assert_close(a, b, atol=0, rtol=0, equal_nan=True)
        torch.testing.assert_close(c.double(), d, atol=1e-5 * math.sqrt(shape[-1]), rtol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_half_precision_by_the_rule(options: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most twice the error of PyTorch at the same precision, against float64; the loss is float32."""
    recipe, kernels = loaded(compiled(spec(options)))
    logits, labels = drawn(9, 200)
    logits = logits.to(dtype)
    exact, theirs = run(pytorch, logits.double(), labels, options), run(pytorch, logits, labels, options)
    plain = run(recipe.loss, logits, labels)
    monkeypatch.setattr(kernels, "fused", always)
    found = run(recipe.loss, logits, labels)
    for ours, other, true in zip(found, theirs, exact, strict=True):
        assert (ours - true).abs().max() <= 2 * (other - true).abs().max() + 1e-6
    for ours in (found, plain):
        assert ours[0].dtype == torch.float32
        assert ours[1].dtype == dtype


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_where_no_label_counts(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of nothing is no number, and its gradient 0, as PyTorch has it of a cross-entropy."""
    recipe, kernels = loaded(compiled(spec(options)))
    logits, labels = drawn(4, 20)
    labels = torch.full_like(labels, -100)
    want = run(pytorch, logits, labels, options.replace("z_loss", ""))
    monkeypatch.setattr(kernels, "fused", always)
    found = run(recipe.loss, logits, labels)
    assert want[0].isnan()
    assert found[0].isnan()
    assert torch.equal(found[1], want[1])


@pytest.mark.parametrize("options", ["", ", smoothing = 0.1, ignore = 0, z_loss = 0.01"], ids=["plain", "everything"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_weights_of_classes(options: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean is divided by those of the targets, by kernels as by PyTorch; a label that is no class is no number."""
    weights = [0.25 + (7 * i % 5) for i in range(32)]
    text = text_spec(f"cross_entropy(logits, data.targets, weight = {weights}{options})", vocab=32)
    recipe, kernels = loaded(compiled(text.replace('text("a.txt", tokenizer = bytes,', 'tokens("a.bin",')))
    logits, labels = drawn(3, 5, 32)
    logits = logits.to(dtype)
    smoothing, z = (0.1, 0.01) if options else (0.0, 0.0)

    def exact(logits: Tensor, labels: Tensor) -> Tensor:
        labels = labels.masked_fill(labels == 0, -100).flatten() if options else labels.flatten()
        rows, each = logits.flatten(0, -2), torch.tensor(weights, dtype=logits.dtype)
        loss = F.cross_entropy(rows, labels, each, label_smoothing=smoothing)
        counts = each[labels.clamp(min=0)] * (labels != -100)
        return loss + z * (rows.logsumexp(-1) ** 2 * counts).sum() / counts.sum()

    want, plain = run(exact, logits.double(), labels), run(recipe.loss, logits, labels)
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = run(recipe.loss, logits, labels)
    tolerance = 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
    for a, b, c in zip(want, plain, found, strict=True):
        torch.testing.assert_close(b.double(), a, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(c.double(), a, atol=tolerance, rtol=tolerance)
    labels[0, 1] = 40
    assert recipe.loss(logits, labels).isnan()


@pytest.mark.parametrize(
    "options",
    ["", ", smoothing = 0.1", f", ignore = 0, weight = {[0.25 + 7 * i % 5 for i in range(32)]}, z_loss = 0.01"],
    ids=["plain", "smoothing", "the rest"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_sums_of_examples(options: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Divided by the examples, whatever counts, as the recipe without kernels has it: bit for bit where none run."""
    text = text_spec(f"cross_entropy(logits, data.targets, reduce = sum{options})", vocab=32)
    text = text.replace('text("a.txt", tokenizer = bytes,', 'tokens("a.bin",')
    recipe, kernels = loaded(compiled(text))
    without = load_text("net_recipe", compiled(text, "torch").recipe_code or "").loss
    logits, labels = drawn(3, 5, 32)
    logits = logits.to(dtype)
    plain, same = (
        run(recipe.loss, logits, labels),
        run(lambda logits, labels: without(logits.float(), labels), logits, labels),
    )
    exact = run(without, logits.double(), labels)
    monkeypatch.setattr(kernels, "fused", always)
    with Poisoned():
        found = run(recipe.loss, logits, labels)
        nothing = run(recipe.loss, logits, torch.full_like(labels, -100))
    tolerance = 1e-5 if dtype == torch.float32 else torch.finfo(dtype).eps
    for a, b, c, d, none in zip(plain, same, exact, found, nothing, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(d.double(), c, atol=tolerance, rtol=tolerance)
        assert not none.any()


@pytest.mark.slow
def test_views_and_rows_that_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, kernels = loaded(compiled(spec("")))
    logits, labels = drawn(4, 6, 48)
    views = [logits[:, :, :37], logits.transpose(0, 1), logits.transpose(1, 2), logits[:, 1:], logits[:, :, ::2]]
    views += [logits[:1].expand(4, -1, -1), logits[0, :, :37], logits.flatten(0, 1).t()]
    monkeypatch.setattr(kernels, "fused", always)
    for view in views:
        _, labels = drawn(*view.shape)
        given = view.detach().requires_grad_()
        mean = recipe.loss(given, labels)
        gradient = torch.autograd.grad(mean, given)[0]
        leaf = view.detach().clone().requires_grad_()
        want = pytorch(leaf, labels, "")
        torch.testing.assert_close(mean, want, atol=1e-5, rtol=0)
        torch.testing.assert_close(gradient, torch.autograd.grad(want, leaf)[0], atol=1e-6, rtol=0)


def test_empty_logits_take_the_plain_form() -> None:
    recipe, _ = loaded(compiled(spec("")))
    assert recipe.loss(torch.empty(0, 5), torch.empty(0, dtype=torch.int64)).isnan()


@pytest.mark.parametrize("label", [40, -1])
def test_a_label_that_is_no_class_is_not_a_number(label: int, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, kernels = loaded(compiled(spec("")))
    monkeypatch.setattr(kernels, "fused", always)
    assert recipe.loss(torch.zeros(3, 40), torch.tensor([5, label, 6])).isnan()


class TestOperators:
    @pytest.mark.slow
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_checks_of_pytorch(self, options: str) -> None:
        _, kernels = loaded(compiled(spec(options)))
        given = {"smoothing": 0.1, "z_loss": 0.01, "ignore": 0}
        numbers = [number for name, number in given.items() if name in options]
        room, labels = drawn(5, 40)
        forward, backward = kernels.operators.cross_entropy_forward, kernels.operators.cross_entropy_backward
        for logits in (room, room[:, :33]):
            torch.library.opcheck(forward.default, (logits, labels % 33, *numbers))
            _, lse = forward(logits, labels % 33, *numbers)
            torch.library.opcheck(backward.default, (torch.tensor(0.3), logits, labels % 33, lse, *numbers))

    def test_compiled_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        recipe, kernels = loaded(compiled(spec(", smoothing = 0.1, ignore = 0")))
        monkeypatch.setattr(kernels, "fused", always)
        logits, labels = drawn(2, 5, 40)
        want = run(recipe.loss, logits, labels)
        torch._dynamo.reset()
        for a, b in zip(run(torch.compile(recipe.loss, **TRACED), logits, labels), want, strict=True):
            assert (a - b).abs().max() <= 1e-6

    def test_autocast_leaves_the_logits_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        recipe, kernels = loaded(compiled(spec("")))
        monkeypatch.setattr(kernels, "fused", always)
        logits, labels = drawn(4, 40)
        want = run(recipe.loss, logits.bfloat16(), labels)
        with torch.autocast("cpu", torch.bfloat16):
            found = run(recipe.loss, logits.bfloat16(), labels)
        assert found[0].dtype == torch.float32
        assert torch.equal(found[0], want[0])
        assert torch.equal(found[1], want[1])

    def test_a_second_derivative_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        recipe, kernels = loaded(compiled(spec("")))
        monkeypatch.setattr(kernels, "fused", always)
        logits, labels = drawn(4, 40)
        logits.requires_grad_()
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(recipe.loss(logits, labels) ** 2, logits, create_graph=True)


# --- the text of recipes ---


def loss_lines(artefact: Artefact) -> str:
    assert artefact.recipe_code is not None
    return artefact.recipe_code.split("def loss(")[1].split("\n\n\n")[0]


def test_what_the_recipe_says() -> None:
    artefact = compiled(spec(", smoothing = 0.1, ignore = 0"))
    assert artefact.recipe_code is not None
    assert "\n\nfrom net_kernels import cross_entropy\n" in artefact.recipe_code
    assert "import torch.nn.functional" not in artefact.recipe_code
    assert "return cross_entropy(logits, targets, smoothing=0.1, ignore=0)" in loss_lines(artefact)
    assert "over all entries that count" in loss_lines(artefact)
    assert artefact.settings is not None
    assert artefact.settings["loss"]["own_dtype"] == ["output.logits"]
    assert "own_dtype" not in json.dumps(compiled(spec(""), "torch").settings)


def test_what_is_not_asked_for_is_not_in_the_file() -> None:
    text = compiled(spec("")).kernels["net_kernels.py"]
    assert all(word not in text for word in ("smoothing", "ignore", "weights", "z_loss", "attention", "norm"))


def test_pictures_and_other_losses_have_none() -> None:
    pictures = rows_spec("cross_entropy(logits, data.label)").replace("flatten -> Linear(10)", "Conv2d(10, 3)")
    pictures = pictures.replace("[B, 10]", "[B, 10, 6, 6]").replace("data.label", "3")
    for text in (pictures, rows_spec("mse(logits, 0)")):
        artefact = compiled(text)
        assert artefact.kernels == {}
        assert "own_dtype" not in json.dumps(artefact.settings)
        assert artefact.recipe_code == compiled(text, "torch").recipe_code


def test_several_terms_share_kernels_and_have_names_of_their_own() -> None:
    loss = (
        "0.5 * cross_entropy(logits, data.targets, ignore = 0) + cross_entropy(logits, tokens, ignore = 0)"
        " + 0.25 * cross_entropy(logits, 7, ignore = 0, smoothing = 0.2) + mse(logits, 0)"
    )
    artefact = compiled(text_spec(loss))
    lines = loss_lines(artefact)
    assert artefact.recipe_code is not None
    assert "from net_kernels import cross_entropy, cross_entropy_2\n" in artefact.recipe_code
    assert "masked_fill" not in lines
    assert "cross_entropy_3 = cross_entropy(logits, targets, ignore=0)" in lines
    recipe, _ = loaded(artefact)
    without = load_text("net_recipe", compiled(text_spec(loss), "torch").recipe_code or "")
    logits, targets = drawn(2, 5, 256)
    tokens = targets.abs()
    assert torch.equal(recipe.loss(logits, targets, tokens), without.loss(logits, targets, tokens))
    # What is not a cross-entropy by kernels takes the logits as before.
    assert artefact.settings is not None
    assert "own_dtype" not in artefact.settings["loss"]


def test_an_argument_of_that_name_hides_no_function() -> None:
    artefact = compiled(rows_spec("cross_entropy(cross_entropy, data.label)", "cross_entropy: [B, 10]"))
    assert artefact.kernels == {}
    assert "return F.cross_entropy(cross_entropy, label)" in loss_lines(artefact)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_files_are_as_ruff_has_them(options: str, tmp_path: Path) -> None:
    hold_to_ruff(compiled(spec(options)).files, tmp_path)


def test_without_triton_the_plain_form_runs(tmp_path: Path) -> None:
    for name, text in compiled(spec("")).files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program = """\
import sys
sys.modules["triton"] = None
import torch, net_recipe
print(net_recipe.loss(torch.zeros(3, 4), torch.tensor([0, 1, 2])).item())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert float(done.stdout) == pytest.approx(math.log(4)), done.stderr


# --- runs ---


def test_model_and_recipe_have_one_module_of_kernels(tmp_path: Path) -> None:
    text = spec("").replace("relu", "norm: LayerNorm")
    artefact = compiled(text)
    model = load_text("net", artefact.model_code, artefact.imported)
    recipe = load_text("net_recipe", artefact.recipe_code or "", artefact.imported)
    assert model.LayerNorm.__module__ == recipe.cross_entropy.__module__


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_trained_resumed_and_verified_without_a_gpu(precision: str, tmp_path: Path) -> None:
    hold_training(text_spec("cross_entropy(logits, data.targets)", precision), tmp_path)
