"""Emitted losses and metrics against plain formulas in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from training_cases import TEXT, plan_of, recipe_of, recipe_text
from training_mistakes import SIGMOID

Array = NDArray[np.float64]
IGNORED = -100


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def tensor(array: NDArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


# --- the formulas ----------------------------------------------------------------------------------------------


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def cross_entropy(logits: Array, classes: NDArray, smoothing: float = 0.0) -> float:
    """Rows of logits; the mean over the rows whose class is not -100."""
    rows, flat = log_softmax(logits.reshape(-1, logits.shape[-1])), classes.reshape(-1)
    losses = [
        -(1 - smoothing) * row[c] - smoothing * row.mean() for row, c in zip(rows, flat, strict=True) if c != IGNORED
    ]
    return float(np.mean(losses))


def accuracy(logits: Array, classes: NDArray, top: int = 1) -> float:
    rows, flat = logits.reshape(-1, logits.shape[-1]), classes.reshape(-1)
    best = np.argsort(-rows, axis=-1)[:, :top]
    return float(np.mean([c in row for row, c in zip(best, flat, strict=True) if c != IGNORED]))


def binary_cross_entropy(logits: Array, true: Array) -> float:
    p = 1 / (1 + np.exp(-logits))
    return float(np.mean(-true * np.log(p) - (1 - true) * np.log(1 - p)))


# --- classes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_rows(random: np.random.Generator, smoothing: float) -> None:
    logits, label = random.normal(size=(9, 10)), random.integers(0, 10, 9)
    recipe = recipe_of("pictures", {"loss": f"cross_entropy(logits, data.label, smoothing = {smoothing})"})
    found = recipe.loss(tensor(logits), tensor(label))
    assert found.item() == pytest.approx(cross_entropy(logits, label, smoothing), rel=1e-12)


def test_cross_entropy_of_sequences_counts_what_is_asked(random: np.random.Generator) -> None:
    logits, targets = random.normal(size=(3, 5, 256)), random.integers(0, 256, (3, 5))
    targets[1, 2:] = IGNORED
    found = recipe_of("text").loss(tensor(logits), tensor(targets))
    assert found.item() == pytest.approx(cross_entropy(logits, targets), rel=1e-12)


def test_an_ignored_target_counts_no_more_than_minus_100(random: np.random.Generator) -> None:
    """In the loss and in the metrics; where both kinds stand, neither counts."""
    logits, targets = random.normal(size=(4, 6, 256)), random.integers(0, 256, (4, 6))
    targets[0, :3], targets[2, 4:] = 7, IGNORED
    changes: dict[str, str | None] = {
        "loss": "cross_entropy(logits, data.targets, ignore = pad)",
        "metrics": "[accuracy(logits, data.targets), accuracy(logits, data.targets, top = 40), "
        "perplexity(logits, data.targets)]",
    }
    recipe = recipe_of("text", changes, TEXT.replace("pad = 0", "pad = 7"))
    counted = np.where(targets == 7, IGNORED, targets)
    given = tensor(logits), tensor(targets)
    assert recipe.loss(*given).item() == pytest.approx(cross_entropy(logits, counted), rel=1e-12)
    found = recipe.metrics(*given)
    assert list(found) == ["accuracy", "accuracy_top_40", "perplexity"]
    assert found["accuracy"].item() == pytest.approx(accuracy(logits, counted), rel=1e-6)
    assert found["accuracy_top_40"].item() == pytest.approx(accuracy(logits, counted, 40), rel=1e-6)
    assert found["perplexity"].item() == pytest.approx(cross_entropy(logits, counted), rel=1e-12)
    assert (given[1] == 7).sum() >= 3  # the recipe has not written into its arguments


def test_accuracy_of_rows(random: np.random.Generator) -> None:
    logits, label = random.normal(size=(200, 10)), random.integers(0, 10, 200)
    metrics = "[accuracy(logits, data.label), accuracy(logits, data.label, top = 3)]"
    found = recipe_of("pictures", {"metrics": metrics}).metrics(tensor(logits), tensor(label))
    assert found["accuracy"].item() == pytest.approx(accuracy(logits, label), rel=1e-6)
    assert found["accuracy_top_3"].item() == pytest.approx(accuracy(logits, label, 3), rel=1e-6)


def test_pictures_have_their_classes_on_axis_1(random: np.random.Generator) -> None:
    """[B, classes, H, W] against int[B, H, W]: the classes of a picture's pixels."""
    model = "dlspec 1\nmodel Net: (x: [B, 3, 4, 5]) -> (output: [B, 3, 4, 5]) {\n  relu\n}\n"
    changes: dict[str, str | None] = {
        "loss": "cross_entropy(output, data.mask)",
        "metrics": "[accuracy(output, data.mask), accuracy(output, data.mask, top = 2)]",
    }
    recipe = recipe_of("table", changes, model)
    logits, mask = random.normal(size=(2, 3, 4, 5)), random.integers(0, 3, (2, 4, 5))
    mask[0, 0] = IGNORED  # the field of a file may hold some
    last = np.moveaxis(logits, 1, -1)
    assert recipe.loss(tensor(logits), tensor(mask)).item() == pytest.approx(cross_entropy(last, mask), rel=1e-12)
    found = recipe.metrics(tensor(logits), tensor(mask))
    assert found["accuracy"].item() == pytest.approx(accuracy(last, mask), rel=1e-6)
    assert found["accuracy_top_2"].item() == pytest.approx(accuracy(last, mask, 2), rel=1e-6)


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_a_class_as_target_stands_for_all(random: np.random.Generator, rank: int) -> None:
    shape = {2: "[B, 5]", 3: "[B, 4, 5]", 4: "[B, 5, 2, 3]"}[rank]
    sizes = {2: (6, 5), 3: (6, 4, 5), 4: (6, 5, 2, 3)}[rank]
    model = f"dlspec 1\nmodel Net: (x: {shape}) -> (output: {shape}) {{\n  relu\n}}\n"
    logits = random.normal(size=sizes)
    last = np.moveaxis(logits, 1, -1) if rank == 4 else logits
    found = recipe_of("table", {"loss": "cross_entropy(output, 2)"}, model).loss(tensor(logits))
    assert found.item() == pytest.approx(cross_entropy(last, np.full(last.shape[:-1], 2)), rel=1e-12)


# --- entries alike ---------------------------------------------------------------------------------------------

FORMULAS = {
    "mse": lambda a, b: float(np.mean((a - b) ** 2)),
    "mae": lambda a, b: float(np.mean(np.abs(a - b))),
    "huber": lambda a, b: float(np.mean(np.where(np.abs(a - b) <= 1, (a - b) ** 2 / 2, np.abs(a - b) - 0.5))),
    "binary_cross_entropy_with_logits": binary_cross_entropy,
}


@pytest.mark.parametrize("word", FORMULAS)
def test_what_is_alike(random: np.random.Generator, word: str) -> None:
    said, true = random.normal(size=(12, 1)), random.uniform(size=(12, 1))
    recipe = recipe_of("table", {"loss": f"{word}(output, data.y)"})
    found = recipe.loss(tensor(said), tensor(true).float())
    assert found.item() == pytest.approx(FORMULAS[word](said, true), rel=1e-6)


@pytest.mark.parametrize("word", FORMULAS)
def test_a_column_against_a_row_is_entry_by_entry(random: np.random.Generator, word: str) -> None:
    """[B, 1] against [B] from a file, whose shape nobody knew: PyTorch alone would compare all with all."""
    said, true = random.normal(size=(12, 1)), random.integers(0, 2, 12)
    recipe = recipe_of("table", {"loss": f"{word}(output, data.y)"})
    found = recipe.loss(tensor(said), tensor(true))
    assert found.item() == pytest.approx(FORMULAS[word](said[:, 0], true.astype(np.float64)), rel=1e-6)


@pytest.mark.parametrize("number", ["0", "1", "0.9"])
@pytest.mark.parametrize("word", FORMULAS)
def test_a_number_as_target_stands_for_all(random: np.random.Generator, word: str, number: str) -> None:
    said = random.normal(size=(12, 1))
    found = recipe_of("table", {"loss": f"{word}(output, {number})"}).loss(tensor(said))
    assert found.item() == pytest.approx(FORMULAS[word](said, np.full((12, 1), float(number))), rel=1e-12)


def test_metrics_alike(random: np.random.Generator) -> None:
    said, true = random.normal(size=(12, 1)), random.normal(size=12)
    recipe = recipe_of("table", {"metrics": "[mse(output, data.y), mae(output, data.y)]"})
    found = recipe.metrics(tensor(said), tensor(true).float())
    assert {name: value.item() for name, value in found.items()} == {
        "mse": pytest.approx(FORMULAS["mse"](said[:, 0], true), rel=1e-6),
        "mae": pytest.approx(FORMULAS["mae"](said[:, 0], true), rel=1e-6),
    }


def test_huber_is_absolute_from_delta_on(random: np.random.Generator) -> None:
    said, true = random.normal(size=(40, 1)), random.normal(size=40)
    apart = np.abs(said[:, 0] - true)
    wanted = np.where(apart <= 0.5, apart**2 / 2, 0.5 * (apart - 0.25)).mean()
    found = recipe_of("table", {"loss": "huber(output, data.y, delta = 0.5)"}).loss(tensor(said), tensor(true).float())
    assert found.item() == pytest.approx(wanted, rel=1e-6)


def test_binary_cross_entropy_of_probabilities(random: np.random.Generator) -> None:
    logits, true = random.normal(size=(12, 1)), random.uniform(size=12)
    said = 1 / (1 + np.exp(-logits))
    recipe = recipe_of("table", {"loss": "binary_cross_entropy(output, data.y)"}, SIGMOID)
    found = recipe.loss(tensor(said).float(), tensor(true).float())
    assert found.item() == pytest.approx(binary_cross_entropy(logits[:, 0], true), rel=1e-6)


# --- sums ------------------------------------------------------------------------------------------------------


SUMS = {
    "mse(output, data.y) + 0.5 * mae(output, data.y)": lambda mse, mae: mse + 0.5 * mae,
    "mse(output, data.y) - mae(output, data.y) / 4": lambda mse, mae: mse - mae / 4,
    "10% * (mse(output, data.y) + mae(output, data.y)) * 3": lambda mse, mae: 0.1 * (mse + mae) * 3,
    "mse(output, data.y) - (mae(output, data.y) - mse(output, data.y))": lambda mse, mae: mse - (mae - mse),
    "(mse(output, data.y) + mae(output, data.y)) / (2 / 3)": lambda mse, mae: (mse + mae) / (2 / 3),
    "(0 - 2) * mse(output, data.y) + mae(output, data.y)": lambda mse, mae: -2 * mse + mae,
    "mse(output, data.y) + mae(output, data.y) + mse(output, data.y) + 3 * mae(output, data.y)": lambda mse, mae: (
        2 * mse + 4 * mae
    ),
}


@pytest.mark.parametrize("loss", SUMS)
def test_sums_and_multiples(random: np.random.Generator, loss: str) -> None:
    said, true = random.normal(size=(12, 1)), random.normal(size=12)
    wanted = SUMS[loss](*(FORMULAS[word](said[:, 0], true) for word in ("mse", "mae")))
    found = recipe_of("table", {"loss": loss}).loss(tensor(said), tensor(true).float())
    assert found.item() == pytest.approx(wanted, rel=1e-6)


def test_a_long_sum_is_read_term_by_term() -> None:
    loss = "cross_entropy(logits, data.label, smoothing = 0.1) + 0.5 * cross_entropy(logits, data.label)"
    text = recipe_text(plan_of("pictures", {"loss": loss}))
    assert (
        "    cross_entropy = F.cross_entropy(logits, label, label_smoothing=0.1)\n"
        "    cross_entropy_2 = F.cross_entropy(logits, label)\n"
        "    return cross_entropy + 0.5 * cross_entropy_2\n"
    ) in text


def test_gradients_reach_the_outputs_and_nothing_else(random: np.random.Generator) -> None:
    logits = tensor(random.normal(size=(4, 6, 256))).requires_grad_()
    targets = tensor(random.integers(0, 256, (4, 6)))
    recipe_of("text", {"loss": "cross_entropy(logits, data.targets, ignore = 3)"}).loss(logits, targets).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0
