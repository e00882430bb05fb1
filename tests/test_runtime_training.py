"""What the loop computes, against loops written out by hand in plain PyTorch."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runtime_cases import ADAMW, SGD, digits, gpt, metrics, newest, open_windows, replace_all
from safetensors.torch import load_file
from torch import Tensor, nn

from dlspec.runtime import Diverged, Program, Refused, Result, load_model, train
from dlspec.runtime.bindings import counted
from dlspec.runtime.isolation import Wanted, borrow
from dlspec.runtime.learner import Learner
from dlspec.runtime.order import Order
from dlspec.runtime.seeds import derive_seed
from dlspec.runtime.validation import measure_split

CPU = torch.device("cpu")


def run(program: Program, folder: Path, **options: Any) -> Result:
    return train(program, folder, folder / "run", open_data=open_windows, **options)


def by_hand(program: Program) -> tuple[nn.Module, list[float]]:
    """The same training as a plain loop: what the runtime has to equal bit by bit."""
    options = program.options
    data = open_windows(options.data, base=Path(), seed=options.seed)
    model, recipe = program.make_model(), program.recipe
    optimizer = recipe.optimizer(model)
    per_epoch = len(data.train) // options.batch
    losses = []
    for step in range(options.steps or 0):
        epoch, index = divmod(step, per_epoch)
        shuffle = torch.Generator().manual_seed(derive_seed(options.seed, "order", epoch))
        order = torch.randperm(len(data.train), generator=shuffle)
        batch = data.train.batch(epoch, order[index * options.batch : (index + 1) * options.batch])
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(step)
        optimizer.zero_grad()
        torch.manual_seed(derive_seed(options.seed, "forward", step, 0))
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            logits = model(batch["tokens"])
        loss = recipe.loss(logits.float(), batch["targets"])
        loss.backward()
        if options.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        if options.clip_value is not None:
            nn.utils.clip_grad_value_(model.parameters(), options.clip_value)
        optimizer.step()
        losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("optimizer", [ADAMW, SGD], ids=["adamw", "sgd"])
@pytest.mark.parametrize(
    "limits",
    [{}, {"clip": 0.5}, {"clip_value": 0.01}, {"precision": "bf16"}],
    ids=["free", "clip", "clip_value", "bf16"],
)
def test_equals_a_loop_written_by_hand(tmp_path: Path, optimizer: str, limits: dict[str, Any]) -> None:
    program = gpt(limits, optimizer=optimizer)
    run(program, tmp_path)
    model, losses = by_hand(program)
    assert [line["loss"] for line in metrics(tmp_path / "run") if line["split"] == "train"] == losses
    trained = load_file(newest(tmp_path / "run") / "model.safetensors")
    assert trained.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert torch.equal(trained[name], parameter), name


def test_learns_the_digits(tmp_path: Path) -> None:
    result = train(digits(), tmp_path, tmp_path / "run")
    assert result.finished == "steps" and result.step == result.steps == 30 * (1437 // 64)
    assert (result.validation["accuracy"] or 0) > 0.95
    validations = [line for line in metrics(tmp_path / "run") if line["split"] == "validation"]
    assert [line["step"] for line in validations] == [110, 220, 330, 440, 550, 660]
    assert validations[-1]["accuracy"] == result.validation["accuracy"]


# --- accumulation ---------------------------------------------------------------------------------------------------


def gradients_of(program: Program, batch: dict[str, Tensor]) -> tuple[float, list[Tensor]]:
    with borrow(Wanted(CPU, True, "fp32")) as turn, turn:
        learner = Learner(program, CPU)
        learner.model.double()
        gradients = learner.compute_gradients(turn, batch, 0)
        return gradients.loss, [p.grad.clone() for p in learner.parameters if p.grad is not None]


@pytest.mark.parametrize("ignored", [False, True], ids=["all count", "some ignored"])
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulated_parts_equal_the_large_batch(parts: int, ignored: bool) -> None:
    source = {"source": "made", "options": {"ignored": ignored}}
    data = open_windows(source, base=Path(), seed=0)
    batch = data.train.batch(0, torch.arange(8))
    counts = [counted(gpt().options.loss, data.train.batch(0, torch.tensor([i]))) for i in range(8)]
    assert ignored == (len(set(counts)) > 1), "the parts have to differ in weight for the test to mean something"
    whole = gradients_of(gpt({"data": source}, drop=0.0), batch)
    pieces = gradients_of(gpt({"data": source, "accumulate": parts}, drop=0.0), batch)
    assert pieces[0] == pytest.approx(whole[0], rel=1e-12)
    for one, other in zip(whole[1], pieces[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_part_without_targets_weighs_nothing() -> None:
    batch = open_windows({"options": {}}, base=Path(), seed=0).train.batch(0, torch.arange(8))
    batch["targets"][:4] = -100
    whole = gradients_of(gpt(drop=0.0), batch)
    halves = gradients_of(gpt({"accumulate": 2}, drop=0.0), batch)
    assert math.isfinite(whole[0]) and halves[0] == pytest.approx(whole[0], rel=1e-12)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_batch_without_targets_is_told(parts: int) -> None:
    batch = open_windows({"options": {}}, base=Path(), seed=0).train.batch(0, torch.arange(8))
    batch["targets"][:] = -100
    with pytest.raises(Refused, match="no target of the batch counts"):
        gradients_of(gpt({"accumulate": parts}), batch)


def test_a_loss_without_weights_is_told() -> None:
    batch = open_windows({"options": {}}, base=Path(), seed=0).train.batch(0, torch.arange(8))
    program = gpt()
    detached = replace(program, recipe_code=program.recipe_code.replace("logits.flatten", "logits.detach().flatten"))
    with pytest.raises(Refused, match="does not depend on any weight"):
        gradients_of(detached, batch)


def test_a_target_to_ignore_does_not_count() -> None:
    program = gpt({"loss": {**gpt().settings["loss"], "ignore": 3}})
    batch = {"targets": torch.tensor([[3, 4, -100], [5, 3, 3]])}
    assert counted(program.options.loss, batch) == 2
    assert counted(gpt().options.loss, batch) == 5


# --- order ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 5))
def test_every_pass_is_a_permutation(examples: int, batch: int, seed: int) -> None:
    if batch > examples:
        there = "is 1 training example$" if examples == 1 else f"are {examples} training examples$"
        with pytest.raises(Refused, match=f"a batch of {batch} is larger than the data: there {there}"):
            Order(seed, examples, batch)
        return
    order = Order(seed, examples, batch)
    steps = [order.batch_of(step) for step in range(2 * order.per_epoch)]
    for epoch in range(2):
        seen = torch.cat([ids for number, ids in steps if number == epoch]).tolist()
        assert len(seen) == len(set(seen)) == order.per_epoch * batch
        assert set(seen) <= set(range(examples))
    # Asked for in another order, by a fresh one: the same.
    fresh = Order(seed, examples, batch)
    for step in reversed(range(2 * order.per_epoch)):
        assert torch.equal(fresh.batch_of(step)[1], steps[step][1])


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    orders = [Order(seed, 100, 100).batch_of(epoch)[1].tolist() for seed in range(3) for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 9


# --- validation and early stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 8, 64])
def test_validation_is_the_mean_over_all_entries(batch: int) -> None:
    source = {"source": "made", "options": {"ignored": True, "validation": 11, "train": 64}}
    program = gpt({"batch": batch, "data": source, **PERPLEXITY})
    split = open_windows(source, base=Path(), seed=0).validation
    assert split is not None
    with borrow(Wanted(CPU, True, "fp32")) as turn:
        learner = Learner(with_perplexity(program), CPU)
        values = measure_split(learner, turn, split)
        assert learner.model.training
    assert values is not None
    whole = split.batch(0, torch.arange(11))
    with torch.no_grad():
        logits = learner.model.eval()(whole["tokens"])
        mean = nn.functional.cross_entropy(logits.flatten(0, -2), whole["targets"].flatten()).item()
    assert values["loss"] == pytest.approx(mean, rel=1e-6)
    assert values["loss"] is not None and values["perplexity"] == math.exp(values["loss"])


PERPLEXITY = {
    "metrics": {
        "arguments": {"logits": "output.logits", "targets": "data.targets"},
        "names": ["perplexity"],
        "after": {"perplexity": "exp"},
    }
}


def with_perplexity(program: Program) -> Program:
    metric = "\n\ndef metrics(logits, targets):\n    return {'perplexity': loss(logits, targets)}\n"
    return Program(program.name, program.model_code, program.recipe_code + metric, program.settings)


def test_early_stopping_stops_where_nothing_gets_better(tmp_path: Path) -> None:
    # At a rate of nothing no validation is better than the first.
    rule = {"patience": 2, "on": "validation.loss"}
    still = gpt({"steps": 30, "validate": {"steps": 3}, "early_stop": rule}, rate="0.0")
    result = run(still, tmp_path)
    assert result.finished == "early_stop" and result.step == 9
    assert newest(tmp_path / "run").name == "step-000009"


def test_early_stopping_on_what_is_not_measured_is_refused(tmp_path: Path) -> None:
    program = gpt({"validate": {"steps": 3}, "early_stop": {"patience": 2, "on": "validation.accuracy"}})
    with pytest.raises(Refused, match=r"validation\.accuracy, which is not measured") as caught:
        run(program, tmp_path)
    assert caught.value.help == "There are: validation.loss."


@pytest.mark.parametrize("settings", [{"validate": {"steps": 3}}, {"early_stop": {"patience": 1, "on": "x"}}])
def test_validating_without_data_is_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    program = gpt({"data": {"source": "made", "options": {"validation": 0}}, **settings})
    with pytest.raises(Refused, match="needs validation data"):
        run(program, tmp_path)
    assert not (tmp_path / "run").exists()


def test_training_without_validation_data(tmp_path: Path) -> None:
    result = run(gpt({"data": {"source": "made", "options": {"validation": 0}}}), tmp_path)
    assert result.finished == "steps" and result.validation == {}
    assert {line["split"] for line in metrics(tmp_path / "run")} == {"train"}


def test_a_validation_that_is_not_finite_is_null(tmp_path: Path) -> None:
    rule = {"patience": 2, "on": "validation.perplexity"}
    program = with_perplexity(gpt({**PERPLEXITY, "validate": {"steps": 3}, "early_stop": rule}, drop=0.0))
    # Logits ten thousand times as large in evaluation: a loss of hundreds, whose exponential is too large for a float.
    head = {"return self.head(x)": "return self.head(x) * (1 if self.training else 10_000)"}
    program = replace(program, model_code=replace_all(program.model_code, head))
    result = run(program, tmp_path)
    assert result.finished == "early_stop" and result.step == 6
    validations = [line for line in metrics(tmp_path / "run") if line["split"] == "validation"]
    assert [line["perplexity"] for line in validations] == [None, None] and validations[0]["loss"] > 500
    assert result.validation["perplexity"] is None


# --- divergence -----------------------------------------------------------------------------------------------------


def test_divergence_is_stopped_before_the_update(tmp_path: Path) -> None:
    often = {"steps": 40, "checkpoint": {"every": {"steps": 1}, "keep": 2}}
    program = gpt(often, optimizer=SGD, rate="1e30 if step == 7 else 1e-3")
    with pytest.raises(Diverged, match=r"step 8: the \w+ is not a finite number") as caught:
        run(program, tmp_path)
    fault = caught.value
    assert fault.exit_code == 3 and fault.evidence is not None
    evidence = json.loads(fault.evidence.read_text())
    assert evidence["step"] == 8 and evidence["lr"] == 1e-3 and len(evidence["examples"]) == 8
    assert not math.isfinite(float(evidence["gradient_norm"]))
    assert evidence["first_gradient_not_finite"] in dict(program.make_model().named_parameters())
    assert newest(tmp_path / "run").name == "step-000008"
    model = load_model(program, tmp_path / "run", 7)
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_gradient_alone_that_is_no_number_is_divergence(tmp_path: Path) -> None:
    """A loss that is finite with a gradient that is not: the square root at zero."""
    program = gpt(drop=0.0)
    loss = "    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())"
    recipe = replace_all(program.recipe_code, {loss: loss + " + (logits * 0).sum().sqrt()"})
    with pytest.raises(Diverged, match="step 0: the gradient is not a finite number"):
        run(Program("gpt", program.model_code, recipe, program.settings), tmp_path)


# --- precision, rates, samples --------------------------------------------------------------------------------------


def test_bf16_computes_in_fewer_bits_and_keeps_weights_whole(tmp_path: Path) -> None:
    run(gpt({"precision": "bf16"}, drop=0.0), tmp_path)
    full = train(gpt(drop=0.0), tmp_path, tmp_path / "full", open_data=open_windows)
    assert {t.dtype for t in load_file(newest(tmp_path / "run") / "model.safetensors").values()} == {torch.float32}
    few, whole = (metrics(tmp_path / name)[0]["loss"] for name in ("run", "full"))
    assert few != whole and few == pytest.approx(whole, rel=0.02)
    assert full.finished == "steps"


def test_a_group_with_a_rate_of_its_own_keeps_its_multiple() -> None:
    program = gpt(optimizer=SGD)
    change = {'ndim < 2], "weight_decay": 0.0}': 'ndim < 2], "weight_decay": 0.0, "lr": 3e-1}'}
    program = Program("gpt", program.model_code, replace_all(program.recipe_code, change), program.settings)
    batch = open_windows({"options": {}}, base=Path(), seed=0).train.batch(0, torch.arange(8))
    with borrow(Wanted(CPU, True, "fp32")) as turn, turn:
        learner = Learner(program, CPU)
        learner.compute_gradients(turn, batch, 0)
        learner.apply_gradients(0.01)
        assert [group["lr"] for group in learner.optimizer.param_groups] == [0.01, pytest.approx(0.1)]


def test_samples_are_asked_for_and_logged(tmp_path: Path) -> None:
    asked: list[str] = []

    def sampler(model: nn.Module, prompt: str) -> str:
        assert not model.training
        torch.rand(3)  # a sampler that draws must not disturb the training
        asked.append(prompt)
        return f"{prompt} said"

    program = gpt({"sample": {"every": {"steps": 5}, "prompt": "ROMEO:"}})
    run(program, tmp_path, sampler=sampler)
    assert asked == ["ROMEO:", "ROMEO:"]
    assert (tmp_path / "run" / "samples.jsonl").read_text().count("ROMEO: said") == 2
    train(gpt(), tmp_path, tmp_path / "silent", open_data=open_windows)
    assert metrics(tmp_path / "run") == metrics(tmp_path / "silent")


def test_samples_without_a_sampler_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="asks for samples"):
        run(gpt({"sample": {"every": {"steps": 5}, "prompt": "x"}}), tmp_path)


def test_long_runs_log_about_a_thousand_updates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlspec.runtime.loop.TRAIN_RECORDS", 5)
    run(gpt({"steps": 23}), tmp_path)
    steps = [line["step"] for line in metrics(tmp_path / "run") if line["split"] == "train"]
    assert steps == [1, 4, 8, 12, 16, 20, 23]
