"""Optimizers that PyTorch has not, or has for matrices only: steps of a small model against the papers' formulas in
float64, and against the library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from training_cases import PARTS, plan_of, recipe_of, recipe_text, spec

from dlspec import check, compile
from dlspec.runtime.program import load_text

Array = np.ndarray
STEPS = 5


class Small(nn.Module):
    """A matrix, a vector and a kernel, in float64."""

    def __init__(self) -> None:
        super().__init__()
        draw = np.random.default_rng(3)
        self.matrix = nn.Parameter(torch.from_numpy(draw.normal(size=(3, 4))))
        self.vector = nn.Parameter(torch.from_numpy(draw.normal(size=5)))
        self.kernel = nn.Parameter(torch.from_numpy(draw.normal(size=(2, 3, 2, 2))))


def gradients() -> Iterator[dict[str, Array]]:
    """Those of each step; the first step of the kernel has none at all."""
    draw = np.random.default_rng(4)
    for step in range(STEPS):
        found = {name: draw.normal(size=tuple(p.shape)) for name, p in Small().named_parameters()}
        yield found | ({"kernel": 0 * found["kernel"]} if step == 0 else {})


def stepped(optimizer: str) -> Small:
    model = Small()
    made = recipe_of("pictures", {"optimizer": optimizer}).optimizer(model)
    for found in gradients():
        for name, p in model.named_parameters():
            p.grad = torch.from_numpy(found[name].copy())
        made.step()
    return model


def lamb(w: Array, given: list[Array], *, lr: float, a: float, b: float, eps: float, decay: float) -> Array:
    """You et al. 2020, algorithm 2."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(given, 1):
        m, v = a * m + (1 - a) * g, b * v + (1 - b) * g**2
        step = (m / (1 - a**t)) / (np.sqrt(v / (1 - b**t)) + eps) + decay * w
        size, length = np.linalg.norm(w), np.linalg.norm(step)
        w = w - lr * (size / length if size and length else 1.0) * step
    return w


def lars(
    w: Array, given: list[Array], *, lr: float, momentum: float, trust: float, decay: float, nesterov: bool = False
) -> Array:
    """You et al. 2017, algorithm 1; what is no matrix has the plain rate."""
    velocity = np.zeros_like(w)
    for g in given:
        size, length = np.linalg.norm(w), np.linalg.norm(g) + decay * np.linalg.norm(w)
        rate = lr * trust * size / length if w.ndim > 1 and size and length else lr
        step = rate * (g + decay * w)
        velocity = momentum * velocity + step
        w = w - (momentum * velocity + step if nesterov else velocity)
    return w


def lion(w: Array, given: list[Array], *, lr: float, a: float, b: float, decay: float) -> Array:
    """Chen et al. 2023, algorithm 2."""
    m = np.zeros_like(w)
    for g in given:
        w = w - lr * (np.sign(a * m + (1 - a) * g) + decay * w)
        m = b * m + (1 - b) * g
    return w


def schedule_free(w: Array, given: list[Array], *, lr: float, a: float, b: float, eps: float, decay: float) -> Array:
    """Defazio et al. 2024, algorithm 1 at a constant rate: where gradients are taken."""
    z, x, v = w, w, np.zeros_like(w)
    y = w
    for t, g in enumerate(given, 1):
        v = b * v + (1 - b) * g**2
        z = z - lr * (g / (np.sqrt(v / (1 - b**t)) + eps) + decay * y)
        x = (1 - 1 / t) * x + z / t
        y = (1 - a) * z + a * x
    return y


RULES: dict[str, tuple[Callable[..., Array], dict[str, Any]]] = {
    "LAMB(lr = 0.1)": (lamb, {"lr": 0.1, "a": 0.9, "b": 0.999, "eps": 1e-6}),
    "LAMB(0.1, [0.8, 0.9], 1e-3, 0.2)": (lamb, {"lr": 0.1, "a": 0.8, "b": 0.9, "eps": 1e-3, "decay": 0.2}),
    "LARS(lr = 0.5)": (lars, {"lr": 0.5, "momentum": 0.9, "trust": 1e-3}),
    "LARS(0.5, 0.8, trust = 0.02, nesterov = true, decay = 0.1)": (
        lars,
        {"lr": 0.5, "momentum": 0.8, "trust": 0.02, "nesterov": True, "decay": 0.1},
    ),
    "Lion(lr = 0.01)": (lion, {"lr": 0.01, "a": 0.9, "b": 0.99}),
    "Lion(lr = 0.01, betas = [0.8, 0.9], decay = 0.5)": (lion, {"lr": 0.01, "a": 0.8, "b": 0.9, "decay": 0.5}),
    "ScheduleFreeAdamW(lr = 0.05)": (schedule_free, {"lr": 0.05, "a": 0.9, "b": 0.999, "eps": 1e-8}),
    "ScheduleFreeAdamW(0.05, [0.8, 0.95], 1e-4, 0.1)": (
        schedule_free,
        {"lr": 0.05, "a": 0.8, "b": 0.95, "eps": 1e-4, "decay": 0.1},
    ),
}


def needs_package(optimizer: str) -> None:
    if optimizer.startswith(("Lion", "ScheduleFree")):
        pytest.importorskip("pytorch_optimizer", reason='comes with pip install "dlspec[optimizers]"')


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("optimizer", RULES)
def test_steps_are_those_of_the_paper(optimizer: str, everywhere: bool) -> None:
    needs_package(optimizer)
    rule, options = RULES[optimizer]
    options = {"decay": 0.0, **options}
    found = stepped(f"{optimizer[:-1]}, decay_on = all)" if everywhere else optimizer)
    given = list(gradients())
    for name, p in Small().named_parameters():
        decay = options["decay"] if everywhere or p.ndim > 1 else 0.0
        expected = rule(p.detach().numpy(), [g[name] for g in given], **{**options, "decay": decay})
        np.testing.assert_allclose(getattr(found, name).detach().numpy(), expected, rtol=1e-9, atol=1e-12)


def test_what_schedule_free_evaluates_is_the_mean_of_its_fast_weights() -> None:
    """At a constant rate the average x is the plain mean of z over all steps."""
    pytest.importorskip("pytorch_optimizer")
    model = nn.Linear(1, 1, bias=False).double()
    made = recipe_of("pictures", {"optimizer": "ScheduleFreeAdamW(lr = 0.1)"}).optimizer(model)
    fast = []
    for gradient in [0.7, -0.2, 1.5, 0.3]:
        model.weight.grad = torch.full_like(model.weight, gradient)
        made.step()
        fast.append(made.state[model.weight]["z"].item())
    made.eval()
    assert model.weight.item() == pytest.approx(np.mean(fast), rel=1e-12)


# --- Muon ----------------------------------------------------------------------------------------------------------


def muon_of(optimizer: str, rates: str | None = None) -> tuple[nn.Module, Any]:
    """A model with two inner matrices, and its recipe."""
    return learned_by(optimizer, rates, PARTS)


def learned_by(optimizer: str, rates: str | None, of: str) -> tuple[nn.Module, Any]:
    made = compile(spec("pictures", {"optimizer": optimizer, "rates": rates}, model=of))
    model: Any = load_text("parts", made.model_code).MLP()
    model.init_weights(torch.Generator().manual_seed(0))
    assert made.recipe_code is not None
    return model, load_text("parts_recipe", made.recipe_code)


def draw_gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


@pytest.mark.parametrize("others", ["AdamW(lr = 3e-4, decay = 0.2)", "SGD(lr = 0.1, momentum = 0.9)", "LAMB(lr = 0.1)"])
def test_muon_is_pytorchs_for_inner_matrices_and_the_others_learn_apart(others: str) -> None:
    model, recipe = muon_of(f"Muon(lr = 0.03, momentum = 0.9, steps = 4, decay = 0.3, others = {others})")
    twin, _ = muon_of("Muon(lr = 0.03)")
    inner = [p for name, p in twin.named_parameters() if name.startswith(("stem", "blocks")) and p.ndim == 2]
    rest = [p for name, p in twin.named_parameters() if not name.startswith(("stem", "blocks")) or p.ndim < 2]
    assert len(inner) == 3
    alone = recipe_of("pictures", {"optimizer": others})
    holder = nn.ParameterList(rest)
    made = recipe.optimizer(model)
    twins = [torch.optim.Muon(inner, lr=0.03, momentum=0.9, ns_steps=4, weight_decay=0.3), alone.optimizer(holder)]
    for step in range(STEPS):
        draw_gradients(model, step)
        draw_gradients(twin, step)
        made.step()
        for each in twins:
            each.step()
    for (name, one), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_muons_step_is_a_nearly_orthogonal_matrix_times_the_rate() -> None:
    """Jordan et al. 2024: singular values of a step lie around 1, whatever those of the gradient are."""
    model, recipe = muon_of("Muon(lr = 0.03, decay = 0)")
    weight: Any = model.get_submodule("blocks.0.mlp").weight
    made, before = recipe.optimizer(model), weight.detach().clone()
    draw_gradients(model, 0)
    made.step()
    values = torch.linalg.svdvals((before - weight.detach()) / 0.03)
    assert values.min() > 0.5 and values.max() < 1.3


def test_what_muon_is_not_for() -> None:
    """Tables, heads, vectors and kernels; a tied head is its table."""
    text = """\
dlspec 1
model LM: (tokens: int[B, T <= 8]) -> (logits: [B, T, 32]) {
  tok: Embedding(32, 8) + pos: Positions(8, 8)
  blocks: repeat(2) { residual(pre = LayerNorm) { attn: SelfAttention(2) } }
  norm: LayerNorm
  bridge: Linear(8) -> gelu
  head: Linear(32, weight = tok.weight) -> softplus
}
train LM {
  data = text("a.txt", tokenizer = characters, window = 8)
  loss = mse(logits, 1)
  optimizer = Muon(lr = 0.02)
  steps = 1
  batch = 1
}
"""
    made = compile(text)
    model: Any = load_text("lm", made.model_code).LM()
    recipe: Any = load_text("lm_recipe", made.recipe_code or "")
    names = {id(p): name for name, p in model.named_parameters()}
    attention = [f"blocks.{i}.attn.{matrix}.weight" for i in range(2) for matrix in "qkvo"]
    assert [names[id(p)] for p in recipe.hidden_matrices(model)] == [*attention, "bridge.weight"]


def test_others_left_out_are_adamw_with_the_same_rate_and_decay() -> None:
    text = recipe_text(plan_of("pictures", {"optimizer": "Muon(lr = 0.02, decay = 0.3, decay_on = all)"}))
    assert "others = torch.optim.AdamW(parameter_groups(model), lr=0.02, fused=True)" in text
    assert 'return [{"params": parameters, "weight_decay": 0.3}]' in text


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("Muon(lr = 0.02, others = ScheduleFreeAdamW(lr = 1e-3))", "`others` learns beside Muon"),
        ("Muon(lr = 0.02, decay_on = all, others = AdamW(lr = 1e-3))", "Muon has matrices alone"),
        ("ScheduleFreeAdamW(lr = 1e-3, betas = [0, 0.9])", "the first of `betas` is how far"),
    ],
)
def test_what_does_not_go_together_is_told(optimizer: str, message: str) -> None:
    found = check(spec("pictures", {"optimizer": optimizer}))
    assert [d.severity for d in found] == ["error"]
    assert message in found[0].message


@pytest.mark.parametrize(
    "optimizer", ["LAMB(0.25)", "LARS(0.25)", "Lion(0.25)", "Muon(0.25)", "ScheduleFreeAdamW(0.25)"]
)
def test_parts_have_their_rates(optimizer: str) -> None:
    needs_package(optimizer)
    model, recipe = muon_of(optimizer, rates='[head = 8, "blocks.*" = 0.5, blocks.1.mlp = 2]')
    names = {id(p): name for name, p in model.named_parameters()}
    made = recipe.optimizer(model)
    rates = {names[id(p)]: group["lr"] for group in made.param_groups for p in group["params"]}
    factors = {"stem": 1, "blocks.0.mlp": 0.5, "blocks.1.mlp": 2, "head": 8}
    assert rates == {f"{part}.{kind}": f * 0.25 for part, f in factors.items() for kind in ("weight", "bias")}
    assert made.defaults["lr"] == 0.25


NO_MATRIX = """dlspec 1
model MLP: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  norm: LayerNorm -> flatten -> head: Linear(10)
}
"""


@pytest.mark.parametrize(
    ("rates", "factors"),
    [
        (None, {"norm": 1, "head": 1}),
        ("[head = 8]", {"norm": 1, "head": 8}),
        ("[norm = 0.5, head = 8]", {"norm": 0.5, "head": 8}),
    ],
)
def test_where_no_matrix_is_inside_all_learns_by_the_others(rates: str | None, factors: dict[str, float]) -> None:
    model, recipe = learned_by("Muon(0.25, others = SGD(0.5))", rates, NO_MATRIX)
    assert recipe.hidden_matrices(model) == []
    made = recipe.optimizer(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    made.step()
    assert {name.partition(".")[0] for name in before} == factors.keys()
    for name, p in model.named_parameters():
        step = torch.full_like(p, 0.5 * factors[name.partition(".")[0]])
        torch.testing.assert_close(before[name] - p.detach(), step, msg=name)


# --- as code -------------------------------------------------------------------------------------------------------

WORDS = ["LAMB", "LARS", "Lion", "Muon", "ScheduleFreeAdamW"]
PARTS_LINES = {"rates": '[head = 10, "blocks.*.mlp" = 0.5]', "freeze": "[blocks]"}


@pytest.mark.parametrize("lines", [{}, PARTS_LINES], ids=["plain", "parts"])
@pytest.mark.parametrize("word", WORDS)
def test_it_is_clean_under_ruff_and_short(word: str, lines: dict[str, str | None], tmp_path: Path) -> None:
    changes: dict[str, str | None] = {"optimizer": f"{word}(lr = 1e-3, decay = 0.1)", **lines}
    text = compile(spec("pictures", changes, model=PARTS)).recipe_code
    assert text is not None
    (tmp_path / "recipe.py").write_text(text)
    for verb in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *verb, "--isolated", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    classes = [part for part in text.split("\n\n\n") if part.startswith("class ")]
    assert all(len(part.splitlines()) <= 60 for part in classes)
