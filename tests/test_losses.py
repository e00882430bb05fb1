"""Every loss that is emitted, and its gradients, against its formula in numpy, in double precision."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from training_cases import PICTURES, TEXT, plan_of, recipe_of, recipe_text

Array = NDArray[np.float64]
Formula = Callable[..., float]
IGNORED = -100

PAIR = "dlspec 1\nmodel Net: (x: [B, 4]) -> (a: [B, 5], b: [B, 5]) {\n  x -> Linear(5) as a\n  x -> Linear(5) as b\n}\n"
SCORES = "dlspec 1\nmodel Net: (x: [B, 4]) -> (output: [B, 3]) {\n  Linear(3)\n}\n"
SPEECH = "dlspec 1\nmodel Net: (x: [B, T, 4]) -> (output: [B, T, 4]) {\n  Linear(4)\n}\n"
GRID = "dlspec 1\nmodel Net: (x: [B, 3, 2, 2]) -> (output: [B, 3, 2, 2]) {\n  relu\n}\n"


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def classes(count: int, *shape: int, ignored: int = 0) -> NDArray[np.int64]:
    found = np.random.default_rng(3).integers(0, count, shape)
    found.reshape(-1)[:ignored] = IGNORED
    return found


# --- the formulas ----------------------------------------------------------------------------------------------------


def log_softmax(x: Array) -> Array:
    return x - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)) - x.max(-1, keepdims=True)


def cosines(a: Array, b: Array) -> Array:
    return (a / np.linalg.norm(a, axis=-1, keepdims=True)) @ (b / np.linalg.norm(b, axis=-1, keepdims=True)).T


def each_cross_entropy(logits: Array, label: NDArray, smoothing: float = 0.0, weight: Sequence[float] = ()) -> list:
    """What each row costs, and what its label counts: nothing where it is -100."""
    rows, found = log_softmax(logits.reshape(-1, logits.shape[-1])), []
    weights = np.asarray(weight or np.ones(logits.shape[-1]))
    for row, c in zip(rows, label.reshape(-1), strict=True):
        if c != IGNORED:
            even = -float((weights * row).mean())
            found.append(((1 - smoothing) * weights[c] * -row[c] + smoothing * even, weights[c], row, c))
    return found


def cross_entropy(*given: Any, **options: Any) -> float:
    found = each_cross_entropy(*given, **options)
    return sum(cost for cost, *_ in found) / sum(weight for _, weight, *_ in found)


def squares(logits: Array, label: NDArray, weight: Sequence[float] = ()) -> tuple[float, float]:
    """The sum of log(sum(exp)) ^ 2 over the rows that count, and of what they count."""
    total = counted = 0.0
    for row, c in zip(logits.reshape(-1, logits.shape[-1]), label.reshape(-1), strict=True):
        if c != IGNORED:
            w = weight[c] if weight else 1.0
            total, counted = total + w * np.log(np.exp(row).sum()) ** 2, counted + w
    return total, counted


def focal(logits: Array, label: NDArray, gamma: float, weight: Sequence[float] = ()) -> float:
    total = counted = 0.0
    for _, _, row, c in each_cross_entropy(logits, label):
        w = weight[c] if weight else 1.0
        total, counted = total - w * (1 - np.exp(row[c])) ** gamma * row[c], counted + w
    return total / counted


def binary(logits: Array, y: Array, weight: float = 1.0) -> Array:
    p = 1 / (1 + np.exp(-logits))
    return -weight * y * np.log(p) - (1 - y) * np.log(1 - p)


def contrastive(a: Array, b: Array, same: NDArray, margin: float) -> float:
    d = np.linalg.norm(a - b, axis=-1)
    return float(np.where(same == 1, d**2, np.maximum(0, margin - d) ** 2).mean())


def triplet(anchor: Array, positive: Array, negative: Array, margin: float) -> float:
    near, far = np.linalg.norm(anchor - positive, axis=-1), np.linalg.norm(anchor - negative, axis=-1)
    return float(np.maximum(0, near - far + margin).mean())


def nt_xent(a: Array, b: Array, temperature: float) -> float:
    views, B = np.concatenate([a, b]), len(a)
    likeness = cosines(views, views) / temperature
    found = []
    for i in range(2 * B):
        others = [likeness[i, k] for k in range(2 * B) if k != i]
        found.append(np.log(np.exp(others).sum()) - likeness[i, (i + B) % (2 * B)])
    return float(np.mean(found))


def info_nce(query: Array, key: Array, temperature: float) -> float:
    likeness = cosines(query, key) / temperature
    return float(np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(likeness)]))


def kl_normal(mean: Array, logvar: Array) -> float:
    return float(((mean**2 + np.exp(logvar) - 1 - logvar) / 2).reshape(len(mean), -1).sum(1).mean())


def hinge_of_classes(scores: Array, label: NDArray, margin: float) -> float:
    found = []
    for row, c in zip(scores, label, strict=True):
        if c != IGNORED:
            others = [max(0.0, margin - row[c] + row[k]) for k in range(len(row)) if k != c]
            found.append(sum(others) / len(row))
    return float(np.mean(found))


def ctc(logits: Array, targets: NDArray, lengths: Sequence[int] | None = None, blank: int = 0) -> float:
    """By the definition: all ways to say a target, one after the other."""
    found = []
    for i, (rows, target) in enumerate(zip(log_softmax(logits), targets, strict=True)):
        steps = len(rows) if lengths is None else lengths[i]
        wanted = [c for c in target if c != IGNORED]
        paths = reduce(lambda some, _: [[*p, c] for p in some for c in range(logits.shape[-1])], range(steps), [[]])
        said = [p for p in paths if collapsed(p, blank) == wanted]
        found.append(-np.log(sum(np.exp(sum(rows[t, c] for t, c in enumerate(path))) for path in said)))
    return float(np.mean(found))


def collapsed(path: list[int], blank: int) -> list[int]:
    kept = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
    return [c for c in kept if c != blank]


def per_example(entries: Array) -> float:
    return float(entries.reshape(len(entries), -1).sum(1).mean())


# --- what is held against them ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A loss of a spec, its inputs in order (those that are floats have gradients), and its formula."""

    loss: str
    inputs: Sequence[NDArray]
    formula: Formula
    model: str | None = None
    of: str = "table"
    changes: dict[str, str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.loss


A, B = random(6, 5), random(6, 5, seed=1)
LOGITS, LABEL = random(9, 10), classes(10, 9)
WORDS, TARGETS = random(3, 4, 8), classes(8, 3, 4, ignored=5)
SHORT = TEXT.replace("256", "8")
WEIGHT = [0.5, 2.0, 1.0, 3.0, 0.25, 1.0, 1.0, 4.0, 1.5, 1.0]
OF_PICTURES: dict[str, Any] = {"of": "pictures", "model": PICTURES}
OF_TEXT: dict[str, Any] = {"of": "text", "model": SHORT, "changes": {"data": 'tokens("a.bin", 8)'}}
SIGNS = np.sign(random(6, 5, seed=2))
SAME = np.array([1, 0, 0, 1, 0, 1])


def z(logits: Array, label: NDArray, by: float, weight: Sequence[float] = ()) -> float:
    total, counted = squares(logits, label, weight)
    return by * total / counted


CASES = [
    Case(
        f"cross_entropy(logits, data.label, weight = {WEIGHT})",
        [LOGITS, LABEL],
        lambda x, c: cross_entropy(x, c, weight=WEIGHT),
        **OF_PICTURES,
    ),
    Case(
        f"cross_entropy(logits, data.label, weight = {WEIGHT}, smoothing = 0.1)",
        [LOGITS, LABEL],
        lambda x, c: cross_entropy(x, c, weight=WEIGHT, smoothing=0.1),
        **OF_PICTURES,
    ),
    Case(
        f"cross_entropy(logits, data.targets, weight = {WEIGHT[:8]})",
        [WORDS, TARGETS],
        lambda x, c: cross_entropy(x, c, weight=WEIGHT[:8]),
        **OF_TEXT,
    ),
    Case(
        "cross_entropy(logits, data.targets, reduce = sum)",
        [WORDS, TARGETS],
        lambda x, c: sum(cost for cost, *_ in each_cross_entropy(x, c)) / len(x),
        **OF_TEXT,
    ),
    Case(
        "cross_entropy(logits, data.label, z_loss = 0.01)",
        [LOGITS, LABEL],
        lambda x, c: cross_entropy(x, c) + z(x, c, 0.01),
        **OF_PICTURES,
    ),
    Case(
        "cross_entropy(logits, data.targets, z_loss = 0.01)",
        [WORDS, TARGETS],
        lambda x, c: cross_entropy(x, c) + z(x, c, 0.01),
        **OF_TEXT,
    ),
    Case(
        f"0.5 * cross_entropy(logits, data.targets, z_loss = 0.01, weight = {WEIGHT[:8]}, smoothing = 0.2)",
        [WORDS, TARGETS],
        lambda x, c: 0.5 * (cross_entropy(x, c, weight=WEIGHT[:8], smoothing=0.2) + z(x, c, 0.01, WEIGHT[:8])),
        **OF_TEXT,
    ),
    Case(
        "cross_entropy(logits, data.targets, z_loss = 0.01, reduce = sum)",
        [WORDS, TARGETS],
        lambda x, c: (sum(cost for cost, *_ in each_cross_entropy(x, c)) + 0.01 * squares(x, c)[0]) / len(x),
        **OF_TEXT,
    ),
    Case(
        "cross_entropy(output, data.y, z_loss = 0.01)",
        [random(2, 3, 2, 2), classes(3, 2, 2, 2, ignored=1)],
        lambda x, c: cross_entropy(np.moveaxis(x, 1, -1), c) + z(np.moveaxis(x, 1, -1), c, 0.01),
        GRID,
    ),
    Case("focal(logits, data.label)", [LOGITS, LABEL], lambda x, c: focal(x, c, 2), **OF_PICTURES),
    Case("focal(logits, data.targets, gamma = 0.5)", [WORDS, TARGETS], lambda x, c: focal(x, c, 0.5), **OF_TEXT),
    Case("focal(logits, data.targets, gamma = 0)", [WORDS, TARGETS], cross_entropy, **OF_TEXT),
    Case(
        f"focal(logits, data.targets, gamma = 1, weight = {WEIGHT[:8]})",
        [WORDS, TARGETS],
        lambda x, c: focal(x, c, 1, WEIGHT[:8]),
        **OF_TEXT,
    ),
    *(
        Case(f"{word}(a, b, reduce = sum)", [A, B], lambda a, y, entry=entry: per_example(entry(a, y)), PAIR)
        for word, entry in {
            "mse": lambda a, y: (a - y) ** 2,
            "mae": lambda a, y: np.abs(a - y),
            "huber": lambda a, y: np.where(np.abs(a - y) <= 1, (a - y) ** 2 / 2, np.abs(a - y) - 0.5),
        }.items()
    ),
    Case(
        "binary_cross_entropy_with_logits(a, b, reduce = sum)",
        [A, 1 / (1 + np.exp(-B))],
        lambda a, y: per_example(binary(a, y)),
        PAIR,
    ),
    Case(
        "binary_cross_entropy_with_logits(a, b, weight = 3)",
        [A, 1 / (1 + np.exp(-B))],
        lambda a, y: float(binary(a, y, 3.0).mean()),
        PAIR,
    ),
    Case("contrastive(a, b, data.same, margin = 4)", [A, B, SAME], lambda a, b, same: contrastive(a, b, same, 4), PAIR),
    Case("contrastive(a, b, 1)", [A, B], lambda a, b: contrastive(a, b, np.ones(6), 1), PAIR),
    Case("contrastive(a, b, 0, margin = 5)", [A, B], lambda a, b: contrastive(a, b, np.zeros(6), 5), PAIR),
    Case("triplet(a, b, data.far)", [A, B, random(6, 5, seed=4)], lambda a, p, n: triplet(a, p, n, 1), PAIR),
    Case("nt_xent(a, b)", [A, B], lambda a, b: nt_xent(a, b, 0.5), PAIR),
    Case("nt_xent(a, b, temperature = 0.1)", [A, B], lambda a, b: nt_xent(a, b, 0.1), PAIR),
    Case("info_nce(a, b)", [A, B], lambda a, b: info_nce(a, b, 0.07), PAIR),
    Case("kl_normal(a, b)", [A, B], kl_normal, PAIR),
    Case("kl_normal(a, 0)", [A], lambda a: kl_normal(a, np.zeros((6, 5))), PAIR),
    Case("cosine(a, b)", [A, B], lambda a, b: float((1 - np.diag(cosines(a, b))).mean()), PAIR),
    Case("hinge(a, b, margin = 0.5)", [A, SIGNS], lambda a, y: float(np.maximum(0, 0.5 - y * a).mean()), PAIR),
    Case("hinge(output, data.y)", [A[:, :1], SIGNS[:, 0]], lambda a, y: float(np.maximum(0, 1 - y * a[:, 0]).mean())),
    Case("hinge(a, 0 - 1)", [A], lambda a: float(np.maximum(0, 1 + a).mean()), PAIR),
    Case("hinge(output, data.y)", [random(6, 3), classes(3, 6)], lambda a, c: hinge_of_classes(a, c, 1), SCORES),
    Case(
        "hinge(output, data.y, margin = 2)",
        [random(6, 3), classes(3, 6, ignored=2)],
        lambda a, c: hinge_of_classes(a, c, 2),
        SCORES,
    ),
    Case("ctc(output, data.y)", [random(3, 4, 4), np.array([[1, 2], [3, IGNORED], [1, 1]])], ctc, SPEECH),
    Case(
        "ctc(output, data.y, lengths = data.n, blank = 3)",
        [random(2, 4, 4), np.array([[1, 2], [0, IGNORED]]), np.array([4, 2])],
        lambda x, y, n: ctc(x, y, list(n), 3),
        SPEECH,
    ),
]


def tensor(array: NDArray) -> torch.Tensor:
    found = torch.from_numpy(np.ascontiguousarray(array))
    return found.requires_grad_() if found.is_floating_point() else found


def gradient(formula: Formula, inputs: Sequence[NDArray], which: int, step: float = 1e-5) -> Array:
    """By central differences."""
    found = np.zeros_like(inputs[which])
    for at in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = [x.copy() for x in inputs]
            moved[which][at] += sign * step
            ends.append(formula(*moved))
        found[at] = (ends[0] - ends[1]) / (2 * step)
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradients(case: Case) -> None:
    inputs = [tensor(x) for x in case.inputs]
    # What a file holds is made float32.
    loss = recipe_of(case.of, {"loss": case.loss, **case.changes}, case.model).loss(*inputs)
    assert loss.shape == () and loss.dtype == torch.float64
    assert loss.item() == pytest.approx(case.formula(*case.inputs), rel=1e-6 if case.of == "table" else 1e-9)
    loss.backward()
    for i, given in enumerate(inputs):
        if given.requires_grad and given.grad is not None:
            np.testing.assert_allclose(given.grad, gradient(case.formula, case.inputs, i), atol=1e-6, rtol=1e-5)
    assert inputs[0].grad is not None and inputs[0].grad.abs().sum() > 0


MORE = [
    Case("info_nce(a, b, queue = 4_096) + 1e-5 * l1(weights) + nt_xent(a, b) / 3", [], max, PAIR),
    Case('mse(a, b) + 1e-5 * l1([linear, linear_2]) + 1e-5 * l1("lin*_2") + kl_normal(a, b)', [], max, PAIR),
]


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]], ids=["check", "format"])
def test_recipes_are_clean_under_ruffs_defaults(command: list[str], tmp_path: Path) -> None:
    for i, case in enumerate([*CASES, *MORE]):
        text = recipe_text(plan_of(case.of, {"loss": case.loss, **case.changes}, case.model))
        (tmp_path / f"loss_{i}_recipe.py").write_text(text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "."]
    done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
