"""Experts: what they give and the loss that keeps them even, against numpy in float64; trained, resumed, exported."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import dlspec
from dlspec.api.compilation import program_of
from dlspec.compiler.backends.onnx.parameters import parameters
from dlspec.compiler.pipeline import analyse, compile
from dlspec.grammar import Source
from dlspec.runtime import Program, train, verify_resume
from dlspec.runtime.device import choose_device
from dlspec.runtime.evaluation import load_model
from dlspec.runtime.isolation import borrow
from dlspec.runtime.learner import Learner
from dlspec.runtime.preparation import wanted
from dlspec.runtime.program import load_text

Array = NDArray[np.float64]

MODEL = """\
dlspec 1
model M: (x: [{dims}, 6]) -> (y: [{dims}, 5]) {{
  moe: experts(4, top = {top}, balance = {balance}) {{ up: Linear(7) -> tanh -> down: Linear(5) }}
}}
"""
DIGITS = """\
dlspec 1
model Moe: (image: [B, 1, 8, 8]) -> (logits: [B, 10]) {
  reshape([B, 8, 8]) -> Linear(16)
  blocks: repeat(2) { residual(pre = LayerNorm) { moe: experts(4, top = 2) { Linear(32) -> gelu -> Linear(16) } } }
  mean(over = 1) -> head: Linear(10)
}
train Moe {
  data      = digits
  loss      = cross_entropy(logits, data.label)
  optimizer = AdamW(lr = 1e-2)
  steps     = 4
  batch     = 32
}
"""


def text(dims: str = "B, T", top: int = 2, balance: float = 0.01) -> str:
    return MODEL.format(dims=dims, top=top, balance=balance)


def model_of(spec: str) -> Any:
    artefact = compile(Source("m.dlspec", spec))
    model: Any = getattr(load_text("m", artefact.model_code), artefact.graph.model.name)()
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def by_hand(model: nn.Module, x: Array, top: int) -> tuple[Array, float]:
    """What comes out, token by token, and the loss of Fedus et al. 2022 without its weight."""
    w = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    tokens = x.reshape(-1, x.shape[-1])
    scores = tokens @ w["moe.router.weight"].T
    chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    results = np.zeros((len(tokens), 5))
    chosen_by = np.zeros(4)
    for i, token in enumerate(tokens):
        best = np.argsort(-chances[i])[:top]
        total = 1.0 if top == 1 else chances[i][best].sum()
        for e in best:
            prefix = f"moe.experts.{e}"
            hidden = np.tanh(w[f"{prefix}.up.weight"] @ token + w[f"{prefix}.up.bias"])
            given = w[f"{prefix}.down.weight"] @ hidden + w[f"{prefix}.down.bias"]
            results[i] += chances[i][e] / total * given
            chosen_by[e] += 1
    share = chosen_by / (len(tokens) * top)
    return results.reshape(*x.shape[:-1], 5), float(4 * (share * chances.mean(0)).sum())


@pytest.mark.parametrize("top", [1, 2, 4])
@pytest.mark.parametrize("dims", ["B", "B, T", "B, H, W"])
def test_it_is_what_a_loop_over_tokens_gives(dims: str, top: int) -> None:
    model = model_of(text(dims, top)).double()
    x = torch.randn(
        *(3, 5, 4)[: dims.count(",") + 1], 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    expected, imbalance = by_hand(model, x.numpy(), top)
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-12, atol=1e-13)
    assert model.moe.balance_loss.item() == pytest.approx(0.01 * imbalance, rel=1e-12)


def test_gradients_are_those_of_all_tokens_through_all_experts() -> None:
    """With every expert taken, experts are a weighted sum: written so, with autograd."""
    model = model_of(text(top=4, balance=0)).double()
    x = torch.randn(3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    dense = copy.deepcopy(model)
    (model(x) ** 2).sum().backward()
    chances = dense.moe.router(x).softmax(-1)
    summed: Any = sum(chances[..., i, None] * expert(x) for i, expert in enumerate(dense.moe.experts))
    (summed**2).sum().backward()
    for (name, ours), theirs in zip(model.named_parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12, msg=name)


def test_one_expert_learns_from_what_it_was_sent_and_the_router_from_the_choice() -> None:
    """With one expert a token, its weight is the softmax itself: divided by its sum it would be 1, whatever the router
    says."""
    model = model_of(text(top=1, balance=0)).double()
    model(torch.randn(4, 3, 6, dtype=torch.float64)).sum().backward()
    assert model.moe.router.weight.grad.abs().sum() > 0


def test_there_is_a_loss_in_training_alone_and_where_the_router_learns() -> None:
    model = model_of(text())
    x = torch.randn(2, 3, 6)
    model(x)
    assert model.moe.balance_loss is not None and model.moe.balance_loss.requires_grad
    model.eval()(x)
    assert model.moe.balance_loss is None
    model.train().requires_grad_(False)
    model(x)
    assert model.moe.balance_loss is None
    assert not hasattr(model_of(text(balance=0)).moe, "balance_loss")


def test_the_recipe_adds_it_where_there_is_one() -> None:
    def recipe(changed: str) -> str:
        code = compile(Source("moe.dlspec", changed)).recipe_code
        assert code is not None
        return code

    assert "def balance_loss(model: nn.Module) -> Tensor | int:" in recipe(DIGITS)
    assert "balance" not in recipe(DIGITS.replace("top = 2", "top = 2, balance = 0"))


@pytest.mark.parametrize(
    "body",
    ["share(2) { moe: experts(4) { Linear(8) } }", "moe: experts(4) { Linear(8) }\n  moe"],
    ids=["share", "label"],
)
def test_experts_that_run_twice_have_a_loss_later(body: str) -> None:
    spec = f"dlspec 1\nmodel M: (x: [B, 8]) -> (y: [B, 8]) {{\n  {body}\n}}\n"
    said = [d.message for d in analyse(Source("m.dlspec", spec)).diagnostics]
    assert len(said) == 1 and "not in this version" in said[0]
    analysis = analyse(Source("m.dlspec", spec.replace("experts(4)", "experts(4, balance = 0)")))
    assert [d.message for d in analysis.diagnostics if "balance" in d.message] == []


def program(spec: str = DIGITS, *overrides: str) -> Program:
    return program_of(compile(Source("moe.dlspec", spec), overrides))


def test_a_step_learns_from_both_losses() -> None:
    """By the gradients of the first step: those of `loss + balance_loss`, written here."""
    moe = program()
    device = choose_device("cpu")
    batch = {"image": torch.rand(32, 1, 8, 8), "label": torch.arange(32) % 10}
    with borrow(wanted(moe, device)) as turn, turn:
        learner = Learner(moe, device)
        found = learner.compute_gradients(turn, batch, 0)
    model: Any = moe.make_model().train()
    balance = [block.moe for block in model.blocks]
    loss = nn.functional.cross_entropy(model(batch["image"]), batch["label"])
    total = loss + balance[0].balance_loss + balance[1].balance_loss
    total.backward()
    assert found.loss == pytest.approx(total.item(), rel=1e-6) and found.loss > loss.item() + 0.01
    for ours, theirs in zip(learner.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    verify_resume(program(DIGITS, "train.validate=every(2)", "train.accumulate=2"), tmp_path, 4, device="cpu")


def test_recomputed_activations_change_nothing(tmp_path: Path) -> None:
    """The pass that is made again in the backward pass has a loss, too, which joins nothing."""
    plain = program(DIGITS)
    again = program(
        DIGITS.replace(
            "repeat(2) { residual(pre = LayerNorm) { moe: ",
            "repeat(2) { checkpoint { residual(pre = LayerNorm) { moe: ",
        ).replace("Linear(16) } } }", "Linear(16) } } } }")
    )
    weights = []
    for number, one in enumerate((plain, again)):
        train(one, tmp_path, tmp_path / f"run-{number}", device="cpu")
        weights.append(load_model(one, tmp_path / f"run-{number}").state_dict())
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_the_checkpoint_names_router_and_experts() -> None:
    keys = parameters(analyse(Source("m.dlspec", text())).graphs["M"]).shapes
    assert list(keys)[:3] == ["moe.router.weight", "moe.experts.0.up.weight", "moe.experts.0.up.bias"]


def test_the_state_dict_is_in_the_order_of_the_checkpoint() -> None:
    assert list(model_of(text()).state_dict()) == list(
        parameters(analyse(Source("m.dlspec", text())).graphs["M"]).shapes
    )


@pytest.mark.slow
def test_compiled_it_gives_the_same() -> None:
    model = model_of(text()).eval()
    x = torch.randn(3, 5, 6)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), model(x))
    assert torch.equal(compiled(x[:, :2]), model(x[:, :2])), "other tokens, other numbers of them for each expert"


def test_half_precision_and_copies_run() -> None:
    model = copy.deepcopy(model_of(text()))
    assert model.to(torch.bfloat16)(torch.randn(2, 3, 6, dtype=torch.bfloat16)).shape == (2, 3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert model_of(text())(torch.randn(2, 3, 6)).shape == (2, 3, 5)


def test_a_model_is_copied_after_a_pass_too() -> None:
    """The loss that keeps the router even stands in a graph, which a copy cannot take along."""
    model = model_of(text())
    x = torch.randn(2, 3, 6)
    said = model(x)
    assert model.moe.balance_loss.requires_grad
    copied = copy.deepcopy(model)
    assert [each.moe.balance_loss is None for each in (copied, model)] == [True, False]
    assert torch.equal(copied(x), said) and copied.moe.balance_loss.requires_grad


def test_an_expert_that_gets_no_token_gets_no_gradient_but_zero() -> None:
    model = model_of(text(dims="B", top=1))
    model(torch.randn(1, 6)).sum().backward()
    assert sum(bool(expert.up.weight.grad.any()) for expert in model.moe.experts) == 1


@pytest.mark.slow
@pytest.mark.parametrize("top", [1, 2])
def test_it_is_exported_with_proof(top: int, tmp_path: Path) -> None:
    spec = tmp_path / "moe.dlspec"
    spec.write_text(DIGITS.replace("top = 2", f"top = {top}"))
    dlspec.train(spec, run=tmp_path / "run")
    formats = ["onnx"] if sys.version_info >= (3, 14) else ["onnx", "torchscript"]
    dlspec.export(tmp_path / "run", tmp_path / "out", formats=formats)
    assert (tmp_path / "out" / "moe.onnx").is_file(), "written, and so proved"
