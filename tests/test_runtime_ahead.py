"""Steps that a GPU is told before the CPU has read the loss, on a CPU: the same bits as steps that wait for that.

Fused optimizers leave a step undone on a CPU as they do on a GPU, and what is recorded there is computed anew here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from runtime_cases import ADAMW, SGD, gpt, metrics, open_windows, same_weights
from torch import Tensor, nn

from dlspec.runtime import Diverged, Program, learner, recording, resume, train
from dlspec.runtime.isolation import Wanted, borrow
from dlspec.runtime.learner import Gradients, Learner
from dlspec.runtime.optimization import Finished, Optimization

CPU = torch.device("cpu")
FUSED = {
    "AdamW": ADAMW,
    "Adam": "Adam(parameter_groups(model), lr=3e-3, amsgrad=True, fused=True)",
    "SGD": "SGD(parameter_groups(model), lr=3e-2, fused=True)",
    "SGD with momentum": "SGD(parameter_groups(model), lr=3e-2, momentum=0.9, nesterov=True, fused=True)",
    "Adagrad": "Adagrad(parameter_groups(model), lr=3e-2, fused=True)",
}


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """As on a GPU; the rates of the steps that were told ahead."""
    begin, apply = Optimization.__init__, Optimization.apply_unless_spoilt
    rates: list[float] = []

    def made(self: Optimization, *given: Any) -> None:
        begin(self, *given)
        self._holds_back = getattr(self.optimizer, "_step_supports_amp_scaling", False)

    def told(self: Optimization, rate: float, finished: Finished) -> None:
        rates.append(rate)
        apply(self, rate, finished)

    monkeypatch.setattr(Optimization, "__init__", made)
    monkeypatch.setattr(Optimization, "apply_unless_spoilt", told)
    return rates


class Again(recording.Recording):
    """A recording that computes what it would play."""

    played = 0

    def __init__(self, work: recording.Work, batch: recording.Batch) -> None:
        self._work, self._parameters = work, work.parameters
        self._places = [parameter.data_ptr() for parameter in work.parameters]

    def play(self, batch: recording.Batch, weight: float) -> Tensor:
        Again.played += 1
        loss = self._work.loss_of(batch) * weight
        self._gradients = list(torch.autograd.grad(loss, self._parameters, allow_unused=True))
        given = [one for one in self._gradients if one is not None]
        self.finished = None if self._work.finish is None else self._work.finish(loss.detach(), given)
        self._batch, self._weight, self._loss, self._graph = {}, torch.ones(()), loss.detach(), Replayed()
        return super().play({}, weight)


class Replayed:
    def replay(self) -> None:
        pass


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nothing_waits() -> Iterator[list[str]]:
        yield []

    begin = Learner.__init__

    def made(self: Learner, *given: Any) -> None:
        begin(self, *given)
        self._recorder = recording.Recorder()

    Again.played = 0
    monkeypatch.setattr(recording, "waits_seen", nothing_waits)
    monkeypatch.setattr(recording, "Recording", Again)
    monkeypatch.setattr(Learner, "__init__", made)


def run(program: Program, folder: Path, **options: Any) -> None:
    train(program, folder.parent, folder, open_data=open_windows, **options)


LIMITS = {
    "free": {},
    "clip": {"clip": 0.5},
    "clip_value": {"clip_value": 0.01},
    "parts": {"accumulate": 2, "clip": 0.5},
    "both": {"clip": 0.5, "clip_value": 0.01, "precision": "bf16"},
}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS.keys())
@pytest.mark.parametrize("optimizer", FUSED.values(), ids=FUSED.keys())
def test_as_a_run_that_waits(
    optimizer: str, limits: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    program = gpt(limits, optimizer=optimizer, drop=0.0)
    run(program, tmp_path / "waits")
    rates = request.getfixturevalue("ahead")
    run(program, tmp_path / "ahead")
    assert len(rates) == 11  # the first step makes state
    request.getfixturevalue("recorded")
    run(program, tmp_path / "recorded")
    parts = limits.get("accumulate", 1)
    assert len(rates) == 22 and Again.played == 12 * parts - recording.WARM
    for other in ("ahead", "recorded"):
        assert metrics(tmp_path / "waits") == metrics(tmp_path / other)
        assert same_weights(tmp_path / "waits", tmp_path / other)


def test_an_optimizer_that_cannot_leave_a_step_undone_waits(ahead: list[float], recorded: None, tmp_path: Path) -> None:
    run(gpt({"clip": 0.5}, optimizer=SGD, drop=0.0), tmp_path / "run")
    assert ahead == [] and Again.played == 10


def test_resumed(ahead: list[float], tmp_path: Path) -> None:
    """Its first step waits, whose numbers are the same."""
    program = gpt({"clip": 0.5})
    run(program, tmp_path / "straight")
    run(program, tmp_path / "run", until=5)
    resume(program, tmp_path / "run", open_data=open_windows)
    assert len(ahead) == 11 + 4 + 6 and same_weights(tmp_path / "straight", tmp_path / "run")


# --- what is spoilt -------------------------------------------------------------------------------------------------


def until_spoilt(program: Program) -> tuple[Learner, Gradients, dict[str, Tensor], dict[str, Tensor | None]]:
    """A learner at the end, the gradients that did it, what it had before that update, and its gradients then."""
    batches = open_windows({"options": {}}, base=Path(), seed=0).train
    with borrow(Wanted(CPU, True, "fp32")) as turn, turn:
        found = Learner(program, CPU)
        for step in range(20):
            before = {name: tensor.clone() for name, tensor in state_of(found).items()}
            gradients = found.update(turn, batches.batch(0, torch.arange(8)), step, program.recipe.learning_rate(step))
            if not gradients.finite:
                return found, gradients, before, {name: p.grad for name, p in found.model.named_parameters()}
    raise AssertionError("nothing was spoilt")


def state_of(found: Learner) -> dict[str, Tensor]:
    return {**found.model_tensors(), **found.optimizer_tensors()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.nan_to_num(a, 7.5, 8.5, 9.5), torch.nan_to_num(other[name], 7.5, 8.5, 9.5))
        for name, a in one.items()
    )


WILD = "1e30 if step == 3 else 1e-3"


@pytest.mark.parametrize("limits", [{}, {"clip": 0.5}, {"clip_value": 0.01}, {"accumulate": 2}], ids=str)
@pytest.mark.parametrize("optimizer", FUSED.values(), ids=FUSED.keys())
def test_nothing_that_is_spoilt_is_taken(
    optimizer: str, limits: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Weights, the optimizer's state with its count of steps, and the gradients that are reported, are as if it had
    waited."""
    program = gpt(limits, optimizer=optimizer, rate=WILD, drop=0.0)
    waited, theirs, _, gradients = until_spoilt(program)
    rates = request.getfixturevalue("ahead")
    ways = []
    for fixture in ("", "recorded"):
        if fixture:
            request.getfixturevalue(fixture)
        told, ours, before, left = until_spoilt(program)
        assert same(before, state_of(told)) and same(state_of(waited), state_of(told)) and same(gradients, left)
        assert str(ours) == str(theirs)
        ways.append(len(rates))
    assert ways[0] >= 2 and ways[1] == 2 * ways[0]


@pytest.mark.parametrize("rate", ["1e30", WILD], ids=["at once", "later"])
def test_it_is_reported_as_ever(rate: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    told: list[tuple[str, Any]] = []
    for way in ("waits", "ahead", "recorded"):
        if way != "waits":
            request.getfixturevalue(way)
        with pytest.raises(Diverged) as caught:
            run(gpt({"clip": 0.5}, rate=rate, drop=0.0), tmp_path / way)
        assert caught.value.evidence is not None
        text = str(caught.value).replace(str(tmp_path / way), "run")
        told.append((text, json.loads(caught.value.evidence.read_text())))
    assert told[0] == told[1] == told[2]


def test_a_loss_alone_that_is_no_number_spoils_too() -> None:
    model = nn.Linear(2, 1)
    optimization = Optimization(torch.optim.SGD(model.parameters(), lr=0.1), model, gpt().options)
    gradients = [torch.ones(3)]
    for loss, spoilt in ((1.0, 0.0), (float("inf"), 1.0), (float("nan"), 1.0)):
        finished = optimization.finish(torch.tensor(loss), gradients)
        assert finished.spoilt.item() == spoilt and finished.spoilt.dtype == torch.float32
    assert optimization.finish(torch.ones(()), [torch.full((3,), 2e38)]).spoilt.item() == 1.0


def test_no_flag_is_left_behind() -> None:
    """What another would find on the optimizer."""
    program = gpt(drop=0.0)
    batch = open_windows({"options": {}}, base=Path(), seed=0).train.batch(0, torch.arange(8))
    with borrow(Wanted(CPU, True, "fp32")) as turn, turn:
        found = learner.Learner(program, CPU)
        found.optimizations[0]._holds_back = True
        for step in range(3):
            found.update(turn, batch, step, 1e-3)
    assert not hasattr(found.optimizer, "found_inf")
