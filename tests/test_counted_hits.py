"""Accuracies of a whole set are so many hits out of so many, to the last bit, whatever the batches."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from training_cases import PICTURES, TABLE, TEXT, plan_of, recipe_of

from dlspec.compiler.training.settings import settings
from dlspec.runtime.bindings import take
from dlspec.runtime.settings import read_settings
from dlspec.runtime.validation import Means

FOUR = TABLE.replace("[B, 1]", "[B, 4]").replace("Linear(1)", "Linear(4)")
SETS: dict[str, tuple[str, str, dict[str, str | None]]] = {
    "classes": ("pictures", PICTURES, {"metrics": "accuracy(logits, data.label)"}),
    "the best three": ("pictures", PICTURES, {"metrics": "accuracy(logits, data.label, top = 3)"}),
    "beside a mean over examples": (
        "pictures",
        PICTURES,
        {"metrics": "[mae(logits, 0), accuracy(logits, data.label)]"},
    ),
    "tokens that count": (
        "text",
        TEXT,
        {
            "loss": "cross_entropy(logits, data.targets, ignore = pad)",
            "metrics": "accuracy(logits, data.targets)",
        },
    ),
    "scores": ("table", FOUR, {"metrics": "accuracy(output, data.y, above = 0)"}),
    "scores and a number": ("table", FOUR, {"metrics": "accuracy(output, 1, above = 0)"}),
}


@cache
def measured(name: str) -> tuple[Any, Any]:
    case, model, lines = SETS[name]
    ports = {"class": "M", "inputs": [], "outputs": [], "limits": {}}
    options = read_settings(settings(plan_of(case, lines, model), "a", ports))
    return options, recipe_of(case, lines, model)


def drawn(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The fields of 61 examples, and what a model says of them."""
    draws = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws)

    if name.startswith("scores"):
        hidden = normal(61, 4).sign()
        hidden[normal(61, 4) > 1] = -100
        return {"y": hidden}, {"output": normal(61, 4)}
    if name.startswith("tokens"):
        return {"targets": torch.randint(0, 5, (61, 7), generator=draws)}, {"logits": normal(61, 7, 5)}
    return {"label": torch.randint(0, 10, (61,), generator=draws)}, {"logits": normal(61, 10)}


def accuracy_of(name: str, size: int) -> float:
    """Over batches of a size, as a validation has them."""
    options, recipe = measured(name)

    def loss_of(values: dict[str, Tensor], phase: Any) -> Tensor:
        return recipe.loss(**take(phase.loss, values))

    means = Means(cast(Any, SimpleNamespace(options=options, program=SimpleNamespace(recipe=recipe), loss_of=loss_of)))
    fields, said = drawn(name)
    for start in range(0, 61, size):
        rows = slice(start, start + size)
        batch = {field: tensor[rows] for field, tensor in fields.items()}
        values = {f"output.{port}": tensor[rows] for port, tensor in said.items()}
        means.add(batch, values | {f"data.{field}": tensor for field, tensor in batch.items()})
    return next(value for metric, value in means.values().items() if metric.startswith("accuracy"))


def counted(name: str) -> float:
    """By hand, of the whole set."""
    fields, said = drawn(name)
    (true,), (scores,) = fields.values(), said.values()
    if name.startswith("scores"):
        counts = true != -100 if name == "scores" else torch.ones_like(true, dtype=torch.bool)
        true = true if name == "scores" else torch.ones_like(true)
        hits = (scores > 0) == (true > 0)
    else:
        counts = true != (0 if name.startswith("tokens") else -100)
        best = scores.topk(3 if "three" in name else 1, dim=-1).indices
        hits = (best == true.unsqueeze(-1)).any(-1)
    return int((hits & counts).sum()) / int(counts.sum())


@pytest.mark.parametrize("size", [1, 7, 13, 61])
@pytest.mark.parametrize("name", SETS)
def test_as_many_hits_are_the_same_number(name: str, size: int) -> None:
    assert accuracy_of(name, size) == counted(name)
