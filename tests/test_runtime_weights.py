"""What changes the weights of a training: what is frozen, rates of parts, averages, rates that fall on a plateau. Each
against a twin that does without, and interrupted against straight on."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from update_cases import (
    SPEC,
    STEPS,
    USUAL,
    Pictures,
    assert_resumes,
    measures,
    open_pictures,
    program,
    spec_of,
    tensors,
    trained,
)

from dlspec import compile
from dlspec.api.compilation import program_of
from dlspec.cli.recipe_costs import training_of
from dlspec.compiler.backends.plan import plan as count
from dlspec.compiler.pipeline import analyse
from dlspec.grammar import Source
from dlspec.runtime import evaluate, load_model, resume
from dlspec.runtime.errors import Refused
from dlspec.runtime.learner import Learner

# --- all of it together --------------------------------------------------------------------------------------------

CHOICES: dict[str, tuple[str | None, ...]] = {
    "optimizer": (
        "AdamW(lr = 1e-2, decay = 0.1)",
        "SGD(lr = 0.1, momentum = 0.9, decay = 0.1, decay_on = all)",
        "LAMB(lr = 1e-2, decay = 0.1)",
        "LARS(lr = 1, decay = 0.1, decay_on = all)",
        "Muon(lr = 1e-2, others = AdamW(lr = 1e-3, decay = 0.1))",
        "Lion(lr = 1e-3, decay = 0.1)",
        "ScheduleFreeAdamW(lr = 1e-2, decay = 0.1)",
    ),
    "freeze": (None, "[stem]", "[blocks.0, head]"),
    "rates": (None, '[head = 10, "blocks.*.mlp" = 0.5]'),
    "ema": (None, "0.5"),
    "accumulate": (None, "2"),
    "clip": (None, "0.1"),
    "schedule": (None, "warmup(2)"),
}


def pairwise() -> list[dict[str, str | None]]:
    """Few combinations in which every two choices of two keys that go together meet."""
    keys = list(CHOICES)
    left = {
        ((a, i), (b, j))
        for a, b in combinations(keys, 2)
        for i in range(len(CHOICES[a]))
        for j in range(len(CHOICES[b]))
    }
    averages = ("optimizer", len(CHOICES["optimizer"]) - 1)
    left = {pair for pair in left if pair != (averages, ("ema", 1)) and pair != (("freeze", 2), ("rates", 1))}
    found: list[dict[str, int]] = []
    while left:
        chosen = dict(min(left))
        for key in keys:
            if key not in chosen:
                chosen[key] = max(range(len(CHOICES[key])), key=lambda i: (_met({**chosen, key: i}, left), -i))
        if chosen["optimizer"] == averages[1] and chosen["ema"]:
            chosen["ema"] = 0
        if chosen["freeze"] == 2 and chosen["rates"]:
            chosen["rates"] = 0
        found.append(chosen)
        left -= {pair for pair in left if all(chosen[key] == i for key, i in pair)}
        assert len(found) < 100
    return [{key: CHOICES[key][i] for key, i in each.items()} for each in found]


def _met(chosen: dict[str, int], left: set[Any]) -> int:
    return sum(all(chosen.get(key) == i for key, i in pair) for pair in left)


@pytest.mark.slow
@pytest.mark.parametrize("lines", pairwise(), ids=lambda lines: "-".join(v.split("(")[0] for v in lines.values() if v))
def test_everything_resumes_to_the_bit_and_what_is_frozen_stays(lines: dict[str, str | None], tmp_path: Path) -> None:
    if (lines["optimizer"] or "").startswith(("Lion", "ScheduleFree")):
        pytest.importorskip("pytorch_optimizer")
    made = program(SPEC, **lines)
    run = assert_resumes(tmp_path, made)
    names = {None: (), "[stem]": ("stem.",)}.get(lines["freeze"], ("blocks.0.", "head."))
    first = made.make_model().state_dict()
    for name, tensor in tensors(run, STEPS).items():
        assert torch.equal(tensor, first[name]) == name.startswith(names), name
    assert not [key for key in tensors(run, STEPS, "optimizer") if names and key.startswith(names)]


# --- what is frozen --------------------------------------------------------------------------------------------------


def test_a_frozen_part_runs_as_in_evaluation_and_gradients_pass_through_it() -> None:
    learner = Learner(program(freeze="[blocks]"), torch.device("cpu"))
    model: Any = learner.model
    for _ in range(2):
        assert not any(part.training for part in model.blocks.modules())
        assert model.stem.training and model.head.training
        with learner.evaluated():
            assert not any(part.training for part in model.modules())
    x = torch.randn(8, 108)
    assert torch.equal(model.blocks[0](x), model.blocks[0](x))
    batch = Pictures(8).batch(0, torch.arange(8))
    learner.training_loss(batch).backward()
    assert all(
        p.grad is not None and p.grad.any() for p in (*model.stem.parameters(), *model.head.parameters()) if p.ndim > 1
    )
    assert all(p.grad is None for p in model.blocks.parameters())


def test_a_frozen_recurrent_layer_drops_nothing_and_has_gradients_of_what_comes_in() -> None:
    """On a GPU there are none in evaluation."""
    text = """\
dlspec 1
model Net: (x: [B, T, 4]) -> (y: [B, T, 8]) {
  before: Linear(8)
  part: { LSTM(8, layers = 2, dropout = 0.5, bidirectional = true) -> Linear(8) }
}
train Net {
  data = arrays("x.npz")
  loss = mse(y, 1)
  optimizer = SGD(lr = 0.1)
  freeze = [part]
  steps = 1
  batch = 2
}
"""
    model: Any = Learner(program_of(compile(text)), torch.device("cpu")).model
    assert model.part.lstm.training and not model.part.linear.training
    x = torch.randn(2, 5, 4)
    learns, fixed = model(x), model.eval()(x)
    assert torch.equal(learns, fixed)
    learns.sum().backward()
    assert model.before.weight.grad.any() and all(p.grad is None for p in model.part.parameters())


@pytest.mark.parametrize("quoted", ['"blocks.*.mlp"', "blocks.0.mlp, blocks.1.mlp"])
def test_what_has_a_rate_inside_a_frozen_part_learns(quoted: str) -> None:
    rates = ", ".join(f"{name} = 0.5" for name in quoted.split(", "))
    learner = Learner(program(freeze="[blocks]", rates=f"[{rates}]"), torch.device("cpu"))
    learns = {name for name, p in learner.model.named_parameters() if p.requires_grad}
    assert {name for name in learns if name.startswith("blocks")} == {
        f"blocks.{i}.mlp.{kind}" for i in range(2) for kind in ("weight", "bias")
    }


def test_a_tied_weight_is_frozen_with_either_layer() -> None:
    text = SPEC.replace("head: Linear(4)", "wide: Linear(12)\n  head: Linear(12, weight = wide.weight) -> Linear(4)")
    for name in ("wide", "head"):
        lines = "".join(f"  {k} = {v}\n" for k, v in {**USUAL, "freeze": f"[{name}]"}.items())
        model = Learner(program_of(compile(f"{text}{lines}}}\n")), torch.device("cpu")).model
        assert not model.get_parameter("wide.weight").requires_grad
        assert not model.get_parameter(f"{name}.bias").requires_grad


def test_a_plan_counts_what_learns() -> None:
    """As many as have gradients, whatever is named within what."""
    for lines in (
        {"freeze": "[blocks]"},
        {"freeze": "[blocks]", "rates": '["blocks.*.mlp" = 2]'},
        {"freeze": "[stem]"},
    ):
        analysis = analyse(Source("a.dlspec", spec_of(**lines)))
        graph, plan = analysis.graphs["Net"], analysis.plans["Net"]
        counted = count(graph, training_of(graph, plan, None, "cpu")).trainable_parameters
        model = Learner(program(**lines), torch.device("cpu")).model
        assert counted == sum(p.numel() for p in model.parameters() if p.requires_grad)


# --- rates -----------------------------------------------------------------------------------------------------------


def test_the_longest_name_says_the_rate_and_the_schedule_scales_all(tmp_path: Path) -> None:
    made = program(
        rates='[blocks = 2, "blocks.*.mlp" = 3, blocks.1.mlp = 5]',
        schedule="warmup(2) -> constant",
        optimizer="SGD(lr = 0.25)",
        steps="3",
    )
    learner = Learner(made, torch.device("cpu"))
    factors = {"stem.norm.weight": 1, "blocks.0.norm.weight": 2, "blocks.0.mlp.bias": 3, "blocks.1.mlp.bias": 5}
    for step, rate in enumerate([0.125, 0.25, 0.25]):
        batch = Pictures(8).batch(0, torch.arange(8))
        learner.optimizer.zero_grad()
        learner.training_loss(batch).backward()
        before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
        assert made.learning_rate(step, 3, 3) == rate
        learner.optimizations[0].measure_gradients()
        learner.apply_gradients(rate)
        for name, factor in factors.items():
            p = learner.model.get_parameter(name)
            assert p.grad is not None
            torch.testing.assert_close(p.detach(), before[name] - rate * factor * p.grad, rtol=1e-6, atol=1e-7)


def test_a_rate_of_what_has_no_weights_is_an_error() -> None:
    spec = spec_of(SPEC.replace("flatten\n", "flatten -> drop: Dropout(0.1)\n"), rates="[drop = 2, head = 3]")
    (found,) = analyse(Source("a.dlspec", spec)).diagnostics
    assert (found.code, found.span.text) == ("wrong-value", "drop")


# --- averages --------------------------------------------------------------------------------------------------------


def test_an_average_is_the_formula_and_changes_nothing_in_training(tmp_path: Path) -> None:
    often = {"checkpoint": "every(1, keep = 10)"}
    plain = trained(tmp_path / "plain", program(**often))
    made = program(ema="0.25", **often)
    averaged = trained(tmp_path / "averaged", made)
    expected = {name: tensor.double() for name, tensor in made.make_model().named_parameters()}
    for step in range(1, STEPS + 1):
        weights, now = tensors(plain, step), tensors(averaged, step, "trained")
        assert all(torch.equal(now[name], weights[name]) for name in now)
        kept = [0.1, 2 / 11, 0.25][min(step, 3) - 1]
        for name in expected:
            expected[name] = kept * expected[name] + (1 - kept) * weights[name].double()
        for name, tensor in tensors(averaged, step).items():
            wanted = expected[name].float() if name in expected else weights[name]
            torch.testing.assert_close(tensor, wanted, rtol=1e-6, atol=1e-7)


def test_an_average_may_begin_and_end_with_a_changed_spec(tmp_path: Path) -> None:
    """It begins as the weights are; without it training goes on from what learned, not from the average."""
    lines = {"optimizer": "SGD(lr = 0.01)", "validate": None}
    straight = tensors(trained(tmp_path / "straight", program(**lines)), STEPS)
    for first, then in ((None, "0.9"), ("0.9", None)):
        run = trained(tmp_path / f"from-{first}", program(**lines, ema=first), until=3)
        resume(program(**lines, ema=then), run, open_data=open_pictures)
        found = tensors(run, STEPS, "trained" if then else "model")
        assert all(torch.equal(found[name], straight[name]) for name in found)


@pytest.mark.parametrize("lines", [{"ema": "0.75"}, {"optimizer": "ScheduleFreeAdamW(lr = 1e-2)"}], ids=["ema", "free"])
def test_the_averages_are_validated_evaluated_and_loaded(lines: dict[str, str], tmp_path: Path) -> None:
    if "optimizer" in lines:
        pytest.importorskip("pytorch_optimizer")
    made = program(SPEC, **lines)
    run = trained(tmp_path / "run", made)
    validated = [line["loss"] for line in measures(run) if line["split"] == "validation"][-1]
    assert evaluate(made, run, open_data=open_pictures)["loss"] == validated
    model = load_model(made, run)
    split = Pictures(6, 100).batch(0, torch.arange(6))
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(split["image"]), split["label"]).item()
    assert loss == pytest.approx(validated, rel=1e-6)
    now = tensors(run, STEPS, "trained")
    assert any(not torch.equal(now[name], tensor) for name, tensor in model.named_parameters())


def test_what_schedule_free_saves_is_what_its_eval_says(tmp_path: Path) -> None:
    """From the weights that learn and their fast twins, in the formula of the paper: x = y + (1 - 1 / beta) (z - y)."""
    pytest.importorskip("pytorch_optimizer")
    run = trained(tmp_path / "run", program(optimizer="ScheduleFreeAdamW(lr = 1e-2, betas = [0.8, 0.99])"))
    state, now = tensors(run, STEPS, "optimizer"), tensors(run, STEPS, "trained")
    for name, tensor in tensors(run, STEPS).items():
        if name in now:
            y, z = now[name].double(), state[f"{name}/z"].double()
            torch.testing.assert_close(tensor, (y + (1 - 1 / 0.8) * (z - y)).float(), rtol=1e-6, atol=1e-7)


def test_validations_do_not_change_a_schedule_free_training(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_optimizer")
    lines = {"optimizer": "ScheduleFreeAdamW(lr = 1e-2)"}
    seldom = trained(tmp_path / "seldom", program(**lines, validate=None))
    often = trained(tmp_path / "often", program(**{**lines, "validate": "every(1)"}))
    for file in ("model", "trained", "optimizer"):
        one, other = tensors(seldom, STEPS, file), tensors(often, STEPS, file)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_missing_package_is_told_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    made = program(optimizer="Lion(lr = 1.5e-4)")
    with pytest.raises(Refused) as caught:
        trained(tmp_path / "run", made)
    assert "the recipe needs pytorch_optimizer, which is not installed" in str(caught.value)
    assert 'pip install "dlspec[optimizers]"' in caught.value.help
    assert not (tmp_path / "run").exists()


# --- plateaus --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["validation.loss", "validation.accuracy"])
def test_the_rate_falls_as_pytorchs_does(on: str, tmp_path: Path) -> None:
    """ReduceLROnPlateau without a threshold, fed with what was validated."""
    made = program(
        schedule=f'plateau(patience = 1, factor = 0.5, to = 10%, on = "{on}")',
        metrics="[accuracy(logits, data.label)]",
        optimizer="SGD(lr = 1, momentum = 0.9)",
        validate="every(1)",
        steps="24",
    )
    run = assert_resumes(tmp_path, made, stop=11)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    mode = "max" if on.endswith("accuracy") else "min"
    twin = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=1, threshold=0, min_lr=0.1)
    rates = []
    for line in measures(run):
        if line["split"] == "train":
            assert line["lr"] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
            rates.append(line["lr"])
        else:
            twin.step(line[on.removeprefix("validation.")])
    assert min(rates) < 0.5


def test_validations_before_a_plateau_begins_do_not_count(tmp_path: Path) -> None:
    lines = {"optimizer": "SGD(lr = 1e-9)", "metrics": "[accuracy(logits, data.label)]", "validate": "every(1)"}
    on = 'on = "validation.accuracy"'
    run = trained(tmp_path / "run", program(**lines, schedule=f"warmup(3) -> plateau(patience = 1, {on})", steps="8"))
    rates = [line["lr"] for line in measures(run) if line["split"] == "train"]
    # The first that counts is the one after update 4; two that are no better make the rate fall.
    assert rates == pytest.approx([r * 1e-9 for r in (1 / 3, 2 / 3, 1, 1, 1, 1, 0.1, 0.1)], rel=1e-9)


def test_a_run_from_before_there_were_plateaus_goes_on(tmp_path: Path) -> None:
    made = program()
    run = trained(tmp_path / "run", made, until=3)
    position = json.loads((run / "checkpoints" / "step-000003" / "state.json").read_text())["position"]
    assert position["falls"] == 0
    assert resume(replace(made), run, open_data=open_pictures).step == STEPS
