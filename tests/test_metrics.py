"""Accuracy of one score, F1, area under the curve and explained variance of a whole set, against scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, r2_score, roc_auc_score
from training_cases import TABLE, TEXT, plan_of, recipe_of

SCORES = "dlspec 1\nmodel Net: (x: [B, 4]) -> (output: [B, 4]) {\n  Linear(4)\n}\n"
GRID = "dlspec 1\nmodel Net: (x: [B, 4, 2, 3]) -> (output: [B, 4, 2, 3]) {\n  relu\n}\n"
ONE_A_TOKEN = """\
dlspec 1
vocab = 8
model Tagger: (tokens: int[B, T]) -> (score: [B, T]) {
  Embedding(vocab, 1) -> mean(over = -1)
}
"""
WORDS = {"data": 'tokens("a.bin", 8)'}


def numbers(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(np.float64)


def classes(count: int, *shape: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, count, shape)


def whole_set(recipe: Any, said: NDArray, true: NDArray) -> dict[str, float]:
    """The metrics of a set that came in batches of uneven sizes, as a validation puts them together."""
    parts: dict[str, list[torch.Tensor]] = {}
    for rows in (slice(0, 5), slice(5, 6), slice(6, len(said))):
        states = recipe.metric_states(torch.from_numpy(said[rows]), torch.from_numpy(true[rows]))
        for name, state in states.items():
            parts.setdefault(name, []).append(state)
    joined = [name for name in parts if name.startswith("auroc")]
    found = {name: torch.cat(each) if name in joined else torch.stack(each).sum(0) for name, each in parts.items()}
    return recipe.metric_values(**found)


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_f1(average: str) -> None:
    said, true = numbers(40, 4), classes(3, 40)  # the last class does not occur
    recipe = recipe_of("table", {"metrics": f"f1(output, data.y, average = {average})"}, SCORES)
    found = whole_set(recipe, said, true)
    name = "f1" if average == "macro" else f"f1_{average}"
    assert found == {name: pytest.approx(f1_score(true, said.argmax(-1), average=average), rel=1e-6)}


def test_f1_of_several_averages() -> None:
    said, true = numbers(40, 4), classes(3, 40)
    ways = ["macro", "weighted", "micro"]
    metrics = ", ".join(f"f1(output, data.y, average = {way})" for way in ways)
    found = whole_set(recipe_of("table", {"metrics": f"[{metrics}]"}, SCORES), said, true)
    assert list(found) == ["f1", "f1_weighted", "f1_micro"]
    wanted = [f1_score(true, said.argmax(-1), average=way) for way in ways]
    assert list(found.values()) == pytest.approx(wanted, rel=1e-6)


def test_f1_leaves_out_classes_that_neither_occur_nor_are_said() -> None:
    said, true = numbers(40, 4), classes(2, 40)
    said[:, 3] = -9
    found = whole_set(recipe_of("table", {"metrics": "f1(output, data.y)"}, SCORES), said, true)
    assert found == {"f1": pytest.approx(f1_score(true, said.argmax(-1), average="macro"), rel=1e-6)}


def test_f1_of_words_and_of_pictures() -> None:
    """What does not count is left out, wherever the classes stand."""
    said, true = numbers(9, 5, 8), classes(8, 9, 5)
    true[3:6, 2:] = -100
    counted = true != -100
    changes: dict[str, str | None] = {**WORDS, "metrics": "f1(logits, data.targets)"}
    found = whole_set(recipe_of("text", changes, TEXT.replace("256", "8")), said, true)
    wanted = f1_score(true[counted], said.argmax(-1)[counted], average="macro")
    assert found == {"f1": pytest.approx(wanted, rel=1e-6)}
    said, true = numbers(9, 4, 2, 3), classes(4, 9, 2, 3)
    found = whole_set(recipe_of("table", {"metrics": "f1(output, data.y)"}, GRID), said, true)
    wanted = f1_score(true.ravel(), said.argmax(1).ravel(), average="macro")
    assert found == {"f1": pytest.approx(wanted, rel=1e-6)}


@pytest.mark.parametrize(("above", "kind"), [("0", "float"), ("0.5", "float"), ("-1", "int")])
def test_one_score_for_each_entry(above: str, kind: str) -> None:
    """What is true is 1 in the field of a file, and 0 or -1 else, with or without an axis of its own."""
    said, true = numbers(60, 1), classes(2, 60)
    metrics = f"[accuracy(output, data.y, above = {above}), f1(output, data.y, above = {above})]"
    recipe = recipe_of("table", {"metrics": metrics}, TABLE)
    predicted = said[:, 0] > float(above)
    field = (true * 2 - 1).astype(np.int64) if kind == "int" else true.astype(np.float32)
    assert whole_set(recipe, said, field) == {"f1": pytest.approx(f1_score(true, predicted), rel=1e-12)}
    found = recipe.metrics(torch.from_numpy(said), torch.from_numpy(field))
    assert found["accuracy"].item() == pytest.approx(accuracy_score(true, predicted), rel=1e-6)


def test_two_of_one_score_are_counted_apart_and_logged_by_what_is_above() -> None:
    said, true = numbers(60, 1), classes(2, 60)
    above = [0.5, -0.25, 0]
    listed = [f"{word}(output, data.y, above = {number})" for word in ("accuracy", "f1") for number in above]
    recipe = recipe_of("table", {"metrics": f"[{', '.join(listed)}]"}, TABLE)
    field = true.astype(np.float32)
    sets = whole_set(recipe, said, field)
    assert list(sets) == ["f1_above_0.5", "f1_above_-0.25", "f1_above_0"]
    wanted = [f1_score(true, said[:, 0] > number) for number in above]
    assert list(sets.values()) == pytest.approx(wanted, rel=1e-12)
    means = recipe.metrics(torch.from_numpy(said), torch.from_numpy(field))
    assert list(means) == ["accuracy_above_0.5", "accuracy_above_-0.25", "accuracy_above_0"]
    wanted = [accuracy_score(true, said[:, 0] > number) for number in above]
    assert [value.item() for value in means.values()] == pytest.approx(wanted, rel=1e-6)
    assert len({*wanted}) == 3


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (["accuracy(a, data.y, above = 0)", "accuracy(b, data.y, above = 0.5)"], ["accuracy_a", "accuracy_b"]),
        (["accuracy(a, data.y, above = 0)", "accuracy(a, data.z, above = 0)"], ["accuracy_y", "accuracy_z"]),
        (
            ["f1(a, data.y, above = 0)", "f1(a, data.y, above = 0.5)", "f1(b, data.y, above = 0)"],
            ["f1_a_above_0", "f1_a_above_0.5", "f1_b_above_0"],
        ),
        (
            ["f1(a, data.y, above = 0)", "f1(a, data.y, above = 0.5)", "f1(a, data.z, above = 0)"],
            ["f1_y_above_0", "f1_y_above_0.5", "f1_z_above_0"],
        ),
        (["mse(a, 0)", "mse(a, 0.5)"], ["mse_0", "mse_0.5"]),
        (["mse(a, x)", "mse(a, data.x)"], ["mse_output_a_input_x", "mse_output_a_data_x"]),
        (["f1(a, data.y, above = 1e-5)"], ["f1"]),
    ],
)
def test_what_is_measured_twice_has_names_of_its_own(metrics: list[str], names: list[str]) -> None:
    model = "dlspec 1\nmodel Two: (x: [B, 1]) -> (a: [B, 1], b: [B, 1]) {\n  x -> Linear(1) as a\n  relu as b\n}\n"
    changes: dict[str, str | None] = {"loss": "mse(a, data.y) + mse(b, data.y)"}
    plan = plan_of("table", {**changes, "metrics": f"[{', '.join(metrics)}]"}, model)
    assert [measured.name for measured in plan.metrics] == names


def test_one_score_for_each_entry_that_counts() -> None:
    """Of tokens that are hidden a score each, and nothing of the rest."""
    said, hidden = numbers(9, 5), classes(2, 9, 5)
    hidden[3:6, 2:] = -100
    counted = hidden != -100
    changes: dict[str, str | None] = {
        "data": 'tokens("a.bin", 8) -> mask_tokens(15%)',
        "loss": "mse(score, data.targets)",
        "metrics": "[accuracy(score, data.targets, above = 0.2), f1(score, data.targets, above = 0.2)]",
    }
    recipe = recipe_of("text", changes, ONE_A_TOKEN)
    wanted = f1_score(hidden[counted], said[counted] > 0.2)
    assert whole_set(recipe, said, hidden) == {"f1": pytest.approx(wanted, rel=1e-12)}
    found = recipe.metrics(torch.from_numpy(said), torch.from_numpy(hidden))
    wanted = accuracy_score(hidden[counted], said[counted] > 0.2)
    assert found["accuracy"].item() == pytest.approx(wanted, rel=1e-6)


def test_auroc_of_scores_some_of_which_are_equal() -> None:
    said, true = numbers(60, 1).round(1), classes(2, 60)
    found = whole_set(recipe_of("table", {"metrics": "auroc(output, data.y)"}), said, true)
    assert len(np.unique(said)) < 50
    assert found == {"auroc": pytest.approx(roc_auc_score(true, said[:, 0]), rel=1e-12)}


def test_auroc_of_classes_is_the_mean_over_those_that_occur() -> None:
    said, true = numbers(60, 4), classes(4, 60)
    changes: dict[str, str | None] = {"loss": "cross_entropy(output, data.y)", "metrics": "auroc(output, data.y)"}
    recipe = recipe_of("table", changes, SCORES)
    p = torch.from_numpy(said).softmax(-1).numpy()
    wanted = roc_auc_score(true, p, multi_class="ovr", average="macro")
    assert whole_set(recipe, said, true) == {"auroc": pytest.approx(wanted, rel=1e-12)}
    true[true == 3] = 0
    each = [roc_auc_score(true == c, p[:, c]) for c in range(3)]
    assert whole_set(recipe, said, true) == {"auroc": pytest.approx(np.mean(each), rel=1e-12)}


def test_auroc_of_what_the_loss_compares_entry_by_entry() -> None:
    said, true = numbers(60, 4), classes(2, 60, 4)
    changes: dict[str, str | None] = {
        "loss": "binary_cross_entropy_with_logits(output, data.y)",
        "metrics": "auroc(output, data.y)",
    }
    found = whole_set(recipe_of("table", changes, SCORES), said, true)
    assert found == {"auroc": pytest.approx(roc_auc_score(true, said, average="micro"), rel=1e-12)}


def test_auroc_of_one_kind_alone_is_not_defined() -> None:
    found = whole_set(recipe_of("table", {"metrics": "auroc(output, data.y)"}), numbers(9, 1), np.ones(9))
    assert np.isnan(found["auroc"])


@pytest.mark.parametrize("mean", [0.0, 1e5])
def test_r2(mean: float) -> None:
    """Sums in double precision lose nothing where the mean is large."""
    true = numbers(40) + mean
    said = (true + 0.3 * numbers(40, seed=2))[:, None].astype(np.float32)
    found = whole_set(recipe_of("table", {"metrics": "r2(output, data.y)"}), said, true.astype(np.float32))
    wanted = r2_score(true.astype(np.float32).astype(np.float64), said[:, 0].astype(np.float64))
    assert found == {"r2": pytest.approx(wanted, rel=1e-6)}
