"""Emitted optimizers: what decays, and one step of each against the paper's formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from training_cases import plan_of, recipe_of, recipe_text


class Small(nn.Module):
    """A matrix, a vector and a table, and a matrix that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Embedding(5, 4)
        self.linear = nn.Linear(4, 3)
        self.frozen = nn.Parameter(torch.randn(2, 2), requires_grad=False)


def decays(optimizer: str) -> dict[str, float]:
    """The weight decay of each parameter that is trained."""
    model = Small()
    names = {id(p): name for name, p in model.named_parameters()}
    made = recipe_of("pictures", {"optimizer": optimizer}).optimizer(model)
    return {names[id(p)]: group["weight_decay"] for group in made.param_groups for p in group["params"]}


@pytest.mark.parametrize("word", ["AdamW", "Adam", "SGD"])
@pytest.mark.parametrize(
    ("options", "matrices", "vectors"),
    [("decay = 0.1", 0.1, 0.0), ("decay = 0.1, decay_on = all", 0.1, 0.1), ("decay = 0", 0.0, 0.0)],
)
def test_what_decays(word: str, options: str, matrices: float, vectors: float) -> None:
    assert decays(f"{word}(lr = 1e-3, {options})") == {
        "table.weight": matrices,
        "linear.weight": matrices,
        "linear.bias": vectors,
    }


@pytest.mark.parametrize(("word", "usual"), [("AdamW", 0.01), ("Adam", 0.0), ("SGD", 0.0)])
def test_decay_is_pytorchs_where_it_is_left_out(word: str, usual: float) -> None:
    assert decays(f"{word}(lr = 1e-3)")["linear.weight"] == usual
    assert decays(f"{word}(lr = 1e-3)")["linear.bias"] == 0.0


# --- two steps of one weight, by hand --------------------------------------------------------------------------

Rule = Callable[[float, list[float]], float]


def adam(lr: float, a: float, b: float, eps: float, decay: float, *, apart: bool) -> Rule:
    """Kingma and Ba 2015; with the decay `apart` from the gradient, Loshchilov and Hutter 2019."""

    def steps(w: float, gradients: list[float]) -> float:
        m = v = 0.0
        for t, given in enumerate(gradients, 1):
            g = given if apart else given + decay * w
            w -= lr * decay * w if apart else 0.0
            m, v = a * m + (1 - a) * g, b * v + (1 - b) * g * g
            w -= lr * (m / (1 - a**t)) / (math.sqrt(v / (1 - b**t)) + eps)
        return w

    return steps


def sgd(lr: float, momentum: float, decay: float, *, nesterov: bool = False) -> Rule:
    """Sutskever et al. 2013, in PyTorch's form."""

    def steps(w: float, gradients: list[float]) -> float:
        velocity = 0.0
        for given in gradients:
            g = given + decay * w
            velocity = momentum * velocity + g
            w -= lr * (g + momentum * velocity if nesterov else velocity)
        return w

    return steps


RULES = {
    "AdamW(lr = 0.01)": adam(0.01, 0.9, 0.999, 1e-8, 0.01, apart=True),
    "AdamW(0.01, [0.8, 0.95], 1e-3, 0.5)": adam(0.01, 0.8, 0.95, 1e-3, 0.5, apart=True),
    "Adam(lr = 0.01, betas = [0.5, 0.999])": adam(0.01, 0.5, 0.999, 1e-8, 0.0, apart=False),
    "Adam(lr = 0.01, decay = 0.2)": adam(0.01, 0.9, 0.999, 1e-8, 0.2, apart=False),
    "SGD(lr = 0.1)": sgd(0.1, 0.0, 0.0),
    "SGD(lr = 0.1, momentum = 0.9, decay = 0.3)": sgd(0.1, 0.9, 0.3),
    "SGD(lr = 0.1, momentum = 0.9, nesterov = true)": sgd(0.1, 0.9, 0.0, nesterov=True),
}


@pytest.mark.parametrize("optimizer", RULES)
def test_steps_are_those_of_the_paper(optimizer: str) -> None:
    model = nn.Linear(1, 1, bias=False).double()
    weight: Tensor = model.weight
    start, gradients = weight.item(), [0.7, -0.2, 1.5]
    made = recipe_of("pictures", {"optimizer": optimizer}).optimizer(model)
    for gradient in gradients:
        weight.grad = torch.full_like(weight, gradient)
        made.step()
    assert weight.item() == pytest.approx(RULES[optimizer](start, gradients), rel=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        ("AdamW(lr = 3e-3)", "torch.optim.AdamW(parameter_groups(model), lr=3e-3, fused=True)"),
        ("AdamW(lr = 3e-3, betas = [0.9, 0.999], eps = 1e-8)", "AdamW(parameter_groups(model), lr=3e-3, fused=True)"),
        ("Adam(lr = 10% * 6e-4)", "torch.optim.Adam(parameter_groups(model), lr=6e-5, fused=True)"),
        ("SGD(lr = peak)", "torch.optim.SGD(parameter_groups(model), lr=3e-3, fused=True)"),
        ("SGD(lr = 1 / 3)", "torch.optim.SGD(parameter_groups(model), lr=1 / 3, fused=True)"),
        ("SGD(lr = 0.1, momentum = 0)", "torch.optim.SGD(parameter_groups(model), lr=0.1, fused=True)"),
    ],
)
def test_what_is_pytorchs_own_is_not_written(optimizer: str, text: str) -> None:
    assert text in recipe_text(plan_of("pictures", {"optimizer": optimizer}))
