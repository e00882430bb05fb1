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
from torch import Tensor, nn

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


def losses_by_hand(model: nn.Module, x: Tensor, top: int = 2) -> tuple[Tensor, Tensor]:
    """What `moe` gives, and its loss without its weight, by autograd over all experts and tokens."""
    moe: Any = model.moe
    chances = moe.router(x).softmax(-1)
    best = chances >= chances.topk(top, -1).values[..., -1:]
    weights = chances * best
    weights = weights / weights.sum(-1, keepdim=True)
    given: Any = sum(weights[..., i, None] * expert(x) for i, expert in enumerate(moe.experts))
    share = best.double().mean(0) / top
    return given, len(moe.experts) * (share * chances.mean(0)).sum()


AGAIN = {
    "share": "share(3) { moe: experts(4) { Linear(6) -> tanh } }",
    "checkpointed": "share(3) { checkpoint { moe: experts(4) { Linear(6) -> tanh } } }",
    "label": "moe: experts(4) { Linear(6) -> tanh }\n  moe\n  moe",
    "inside": "moe: experts(4) { Linear(6) -> tanh }\n  repeat(2) { moe }",
}


@pytest.mark.parametrize("body", AGAIN.values(), ids=AGAIN)
def test_the_losses_of_several_runs_add_up(body: str) -> None:
    """Over the runs of a pass, and no further; recomputed ones join nothing that a gradient is taken of."""
    model = model_of(f"dlspec 1\nmodel M: (x: [B, 6]) -> (y: [B, 6]) {{\n  {body}\n}}\n").double()
    twin = copy.deepcopy(model)
    for seed in range(2):  # a pass after a pass
        x = torch.randn(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        ours = model(x)
        total = 0.01 * model.moe.balance_loss
        (ours.square().sum() + model.moe.balance_loss).backward()
        given, expected = x, torch.zeros((), dtype=torch.float64)
        for _ in range(3):
            given, loss = losses_by_hand(twin, given)
            expected = expected + 0.01 * loss
        (given.square().sum() + expected).backward()
        torch.testing.assert_close(ours, given)
        torch.testing.assert_close(total, 0.01 * expected)
    for (name, p), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, theirs.grad, rtol=1e-9, atol=1e-12, msg=name)
    model.eval()(torch.randn(9, 6, dtype=torch.float64))
    assert model.moe.balance_loss is None


def test_experts_that_run_once_a_pass_hold_no_more_than_that() -> None:
    code = compile(Source("m.dlspec", text())).model_code
    assert "forget_balance" not in code and "before" not in code


def test_experts_inside_experts_that_get_no_token_have_no_loss() -> None:
    """The mean over no token is no number."""
    body = "outer: experts(3, top = 1) { inner: experts(4) { Linear(6) } }"
    model = model_of(f"dlspec 1\nmodel M: (x: [B, 6]) -> (y: [B, 6]) {{\n  {body}\n}}\n")
    model(torch.randn(1, 6))
    losses = [expert.inner.balance_loss for expert in model.outer.experts]
    assert sorted(loss is None for loss in losses) == [False, True, True]
    assert all(loss is None or bool(loss.isfinite()) for loss in losses)
    assert bool(model.outer.balance_loss.isfinite())


IN_PARTS = """\
dlspec 1
model M: (image: [B, 1, 8, 8]) -> (a: [B, 8], b: [B, 8]) {
  image -> flatten -> shared: Linear(8) as h
  h -> left: experts(4) { Linear(8) } as a
  h -> right: experts(4) { Linear(8) } as b
}
train M {
  data      = digits
  optimizer = SGD(lr = 0.1)
  phase one {
    update = [shared, left]
    loss   = mse(a, 0)
  }
  phase two {
    update = [right]
    loss   = mse(b, 0)
  }
  steps = 4
  batch = 8
}
"""


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


def test_a_phase_learns_from_the_losses_of_what_it_runs() -> None:
    """Experts that it leaves out have that of an earlier phase's pass, whose graph is gone."""
    moe = program(IN_PARTS)
    device = choose_device("cpu")
    batch = {"image": torch.rand(8, 1, 8, 8), "label": torch.arange(8)}
    with borrow(wanted(moe, device)) as turn, turn:
        learner = Learner(moe, device)
        first, second = learner.options.phases
        learner.compute_gradients(turn, batch, 0, second)
        found = learner.compute_gradients(turn, batch, 0, first)
    model: Any = moe.make_model().train()
    model.load_state_dict(learner.model.state_dict())
    a, _ = model(batch["image"])
    total = a.square().mean() + model.left.balance_loss
    assert found.loss == pytest.approx(total.item(), rel=1e-6)


@pytest.mark.slow
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


SHARED = (
    DIGITS.replace("Linear(32) -> gelu -> Linear(16)", "mix -> gelu -> Linear(16)")
    .replace("Linear(16)\n", "mix: Linear(16)\n", 1)
    .replace("reshape([B, 8, 8])", "reshape([B, 4, 16])")
)


def test_experts_run_a_module_from_around_them() -> None:
    """It is one for all of them, and learns from what each did with it."""
    model: Any = program(SHARED).make_model().double()
    weights = model.mix.weight
    assert [name for name, _ in model.named_parameters() if ".mix" in name] == []
    x = torch.randn(5, 16, dtype=torch.float64)
    moe = model.blocks[0].moe
    given = moe(x, model.mix)
    chances = moe.router(x).softmax(-1)
    best = chances * (chances >= chances.topk(2, -1).values[..., -1:])
    best = best / best.sum(-1, keepdim=True)
    expected: Any = sum(
        best[..., i, None] * expert.linear(nn.functional.gelu(model.mix(x))) for i, expert in enumerate(moe.experts)
    )
    torch.testing.assert_close(given, expected)
    (ours,) = torch.autograd.grad(given.square().sum(), weights)
    (theirs,) = torch.autograd.grad(expected.square().sum(), weights)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_experts_with_a_module_from_around_them_are_exported_with_proof(tmp_path: Path) -> None:
    spec = tmp_path / "moe.dlspec"
    spec.write_text(SHARED)
    dlspec.train(spec, run=tmp_path / "run")
    dlspec.export(tmp_path / "run", tmp_path / "out", formats=["onnx"])
    assert (tmp_path / "out" / "moe.onnx").is_file(), "written, and so proved"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["share", "label", "inside"])
def test_in_training_it_is_compiled_whole(how: str) -> None:
    """Not in a checkpoint: one that is compiled may change nothing around it (PyTorch 2.13), and a loss is noted."""
    body = AGAIN[how]
    model = model_of(f"dlspec 1\nmodel M: (x: [B, 6]) -> (y: [B, 6]) {{\n  {body}\n}}\n")
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for seed in range(2):
        x = torch.randn(7, 6, generator=torch.Generator().manual_seed(seed))
        said = model(x)
        loss = model.moe.balance_loss
        assert torch.equal(compiled(x), said) and torch.equal(model.moe.balance_loss, loss)


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
