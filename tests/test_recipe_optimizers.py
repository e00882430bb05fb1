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


@pytest.mark.parametrize(
    "word", ["AdamW", "Adam", "SGD", "RAdam", "NAdam", "RMSprop", "Adagrad", "Adafactor", "LAMB", "LARS"]
)
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


# --- the steps of one weight, by hand --------------------------------------------------------------------------

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


def radam(lr: float, a: float, b: float, eps: float, decay: float) -> Rule:
    """Liu et al. 2020: plain momentum until the variance of the steps can be rectified."""

    def steps(w: float, gradients: list[float]) -> float:
        m = v = 0.0
        longest = 2 / (1 - b) - 1
        for t, given in enumerate(gradients, 1):
            g = given + decay * w
            m, v = a * m + (1 - a) * g, b * v + (1 - b) * g * g
            length = longest - 2 * t * b**t / (1 - b**t)
            step = m / (1 - a**t)
            if length > 5:
                over = (length - 4) * (length - 2) * longest
                under = (longest - 4) * (longest - 2) * length
                step *= math.sqrt(over / under) * math.sqrt(1 - b**t) / (math.sqrt(v) + eps)
            w -= lr * step
        return w

    return steps


def nadam(lr: float, a: float, b: float, eps: float, psi: float) -> Rule:
    """Dozat 2016, in PyTorch's form."""

    def steps(w: float, gradients: list[float]) -> float:
        m = v = 0.0
        product = 1.0
        for t, g in enumerate(gradients, 1):
            now, then = (a * (1 - 0.5 * 0.96 ** (k * psi)) for k in (t, t + 1))
            product *= now
            m, v = a * m + (1 - a) * g, b * v + (1 - b) * g * g
            root = math.sqrt(v / (1 - b**t)) + eps
            w -= lr * ((1 - now) / (1 - product) * g + then / (1 - product * then) * m) / root
        return w

    return steps


def rmsprop(lr: float, alpha: float, momentum: float, eps: float, *, centered: bool = False) -> Rule:
    """Hinton 2012, with the momentum after the division, as in PyTorch."""

    def steps(w: float, gradients: list[float]) -> float:
        square = mean = velocity = 0.0
        for g in gradients:
            square, mean = alpha * square + (1 - alpha) * g * g, alpha * mean + (1 - alpha) * g
            root = math.sqrt(square - mean**2 if centered else square) + eps
            velocity = momentum * velocity + g / root
            w -= lr * velocity
        return w

    return steps


def adagrad(lr: float, eps: float, lr_decay: float, start: float) -> Rule:
    """Duchi et al. 2011."""

    def steps(w: float, gradients: list[float]) -> float:
        total = start
        for t, g in enumerate(gradients):
            total += g * g
            w -= lr / (1 + t * lr_decay) * g / (math.sqrt(total) + eps)
        return w

    return steps


def adafactor(lr: float, beta2_decay: float, clip: float, decay: float) -> Rule:
    """Shazeer and Stern 2018, of a matrix with one entry; no rate is above `t ^ -0.5`."""

    def steps(w: float, gradients: list[float]) -> float:
        square = 0.0
        for t, g in enumerate(gradients, 1):
            size = max(1e-3, abs(w))
            w -= lr * decay * w
            square += t**beta2_decay * (g * g - square)
            step = g / math.sqrt(square)
            w -= min(lr, t**-0.5) * size * step / max(1.0, abs(step) / clip)
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
    "RAdam(lr = 0.01)": radam(0.01, 0.9, 0.999, 1e-8, 0.0),
    "RAdam(lr = 0.01, betas = [0.9, 0.9], eps = 1e-4, decay = 0.2)": radam(0.01, 0.9, 0.9, 1e-4, 0.2),
    "NAdam(lr = 0.01)": nadam(0.01, 0.9, 0.999, 1e-8, 4e-3),
    "NAdam(lr = 0.01, betas = [0.8, 0.95], momentum_decay = 0.1)": nadam(0.01, 0.8, 0.95, 1e-8, 0.1),
    "RMSprop(lr = 0.01)": rmsprop(0.01, 0.99, 0.0, 1e-8),
    "RMSprop(lr = 0.01, alpha = 0.9, momentum = 0.5, centered = true)": rmsprop(0.01, 0.9, 0.5, 1e-8, centered=True),
    "Adagrad(lr = 0.1)": adagrad(0.1, 1e-10, 0.0, 0.0),
    "Adagrad(lr = 0.1, lr_decay = 0.1, start = 0.5)": adagrad(0.1, 1e-10, 0.1, 0.5),
    "Adafactor(lr = 0.1)": adafactor(0.1, -0.8, 1.0, 0.0),
    "Adafactor(lr = 0.1, beta2_decay = -0.5, clip = 1.2, decay = 0.2)": adafactor(0.1, -0.5, 1.2, 0.2),
}


@pytest.mark.parametrize("optimizer", RULES)
def test_steps_are_those_of_the_paper(optimizer: str) -> None:
    model = nn.Linear(1, 1, bias=False).double()
    weight: Tensor = model.weight
    start, gradients = weight.item(), [0.7, -0.2, 1.5, 0.3, -0.8, 0.4, 0.9, -1.1]
    made = recipe_of("pictures", {"optimizer": optimizer}).optimizer(model)
    for gradient in gradients:
        weight.grad = torch.full_like(weight, gradient)
        made.step()
    assert weight.item() == pytest.approx(
        RULES[optimizer](start, gradients), rel=1e-6 if optimizer.startswith("NAdam") else 1e-12
    )  # its momenta are fp32


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
