"""The emitted learning rate is a closed form; a walk over the stages, step by step, gives the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import plan_of, recipe_of

from dlspec.compiler.backends.pytorch.rates import write_learning_rate
from dlspec.compiler.training.plan import TrainPlan

pytestmark = pytest.mark.no_torch

PEAK = 6e-4


def walk(stages: list[dict[str, Any]], peak: float, steps: int, epoch: int) -> list[float]:
    """The rate of each step, found by taking the stages one after the other."""
    rates: list[float] = []
    factor = 0.0 if stages and stages[0]["word"] == "warmup" else 1.0
    for stage in stages:
        left = steps - len(rates)
        length = left if stage["length"] is None else updates(stage["length"], steps, epoch)
        target = {"warmup": 1.0, "stable": factor}.get(stage["word"], stage.get("to", 0.0))
        for done in range(min(length, left)):
            match stage["word"]:
                case "warmup":
                    now = factor + (target - factor) * (done + 1) / length
                case "cosine":
                    now = target + (factor - target) * (1 + math.cos(math.pi * done / length)) / 2
                case _:
                    now = factor + (target - factor) * done / length
            rates.append(peak * now)
        factor = target
    return rates + [peak * factor] * (steps - len(rates))


def updates(length: str, steps: int, epoch: int) -> int:
    if length.endswith("%"):
        return round(Fraction(length[:-1]) / 100 * steps)
    if length.endswith("* epoch"):
        return round(Fraction(length.removesuffix("* epoch").strip()) * epoch)
    return int(length)


def written(stages: list[dict[str, Any]]) -> str:
    texts = []
    for stage in stages:
        options = [] if stage["length"] is None else [stage["length"]]
        if "to" in stage:
            options.append(f"to = {stage['to'] * 100:g}%")
        texts.append(f"{stage['word']}({', '.join(options)})" if options else stage["word"])
    return " -> ".join(texts)


def emitted(plan: TrainPlan) -> Any:
    names: dict[str, Any] = {"math": math}
    exec("\n".join(write_learning_rate(plan.schedule, plan.optimizer.lr, plan.run)), names)
    return names["learning_rate"]


def rates_of(function: Any, steps: int, epoch: int) -> list[float]:
    known = {"steps": steps, "epoch": epoch}
    wanted = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    assert set(wanted) <= set(known)
    return [function(step, **{name: known[name] for name in wanted}) for step in range(steps)]


def lengths(part: int) -> st.SearchStrategy[str]:
    """Up to `part` percent of a run of 100 steps or more, or of 10 epochs."""
    return st.one_of(
        st.integers(1, part).map(str),
        st.integers(1, part).map(lambda n: f"{n}%"),
        st.integers(1, max(1, part // 10)).map(lambda n: f"{n} * epoch"),
        st.integers(1, 2 * part // 10 or 1).map(lambda n: f"{n / 2} * epoch" if n / 2 <= part / 10 else "1%"),
    )


def middle() -> st.SearchStrategy[dict[str, Any]]:
    target = st.integers(0, 100).map(lambda n: n / 100)
    return st.one_of(
        st.fixed_dictionaries({"word": st.just("stable"), "length": lengths(10)}),
        st.fixed_dictionaries({"word": st.sampled_from(["linear", "cosine"]), "length": lengths(10), "to": target}),
    )


def last() -> st.SearchStrategy[dict[str, Any]]:
    target = st.integers(0, 100).map(lambda n: n / 100)
    return st.one_of(
        st.fixed_dictionaries({"word": st.just("stable"), "length": st.none()}),
        st.fixed_dictionaries({"word": st.sampled_from(["linear", "cosine"]), "length": st.none(), "to": target}),
    )


@st.composite
def schedules(draw: st.DrawFn) -> list[dict[str, Any]]:
    first = draw(st.lists(st.fixed_dictionaries({"word": st.just("warmup"), "length": lengths(20)}), max_size=1))
    return first + draw(st.lists(middle(), max_size=3)) + draw(st.lists(last(), max_size=1))


@pytest.mark.slow
@settings(max_examples=150)
@given(schedules(), st.booleans(), st.integers(100, 400), st.integers(10, 40))
def test_the_closed_form_is_the_walk(stages: list[dict[str, Any]], counted: bool, steps: int, epoch: int) -> None:
    run: dict[str, str | None] = {"epochs": None, "steps": str(steps)} if counted else {"epochs": "10"}
    steps = steps if counted else 10 * epoch
    changes = {**run, "optimizer": f"AdamW(lr = {PEAK})", "schedule": written(stages) if stages else None}
    found = rates_of(emitted(plan_of("pictures", changes)), steps, epoch)
    assert found == pytest.approx(walk(stages, PEAK, steps, epoch), rel=1e-12, abs=1e-18)


@settings(max_examples=60)
@given(schedules(), st.integers(200, 2_000))
def test_no_step_is_a_jump(stages: list[dict[str, Any]], steps: int) -> None:
    """Each stage starts where the one before ended: a step changes the rate by no more than the steepest stage can."""
    changes: dict[str, str | None] = {"epochs": None, "steps": str(steps), "optimizer": "SGD(lr = 1)"}
    plan = plan_of("pictures", {**changes, "schedule": written(stages) if stages else None})
    epoch = steps // 10
    found = rates_of(emitted(plan), steps, epoch)
    spans = [steps if s["length"] is None else updates(s["length"], steps, epoch) for s in stages]
    # What has the rest has at least the steps that the others leave.
    rest = steps - sum(span for s, span in zip(stages, spans, strict=True) if s["length"] is not None)
    spans = [max(1, rest if s["length"] is None else span) for s, span in zip(stages, spans, strict=True)]
    steepest = max([math.pi / 2 / span for span in spans], default=0)
    assert all(abs(b - a) <= steepest + 1e-12 for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        ("polynomial(to = 20%, power = 3)", lambda step: 0.2 + 0.8 * (1 - step / 200) ** 3),
        ("polynomial(50%, to = 0) -> constant", lambda step: max(0.0, 1 - step / 100)),
        ("exponential(to = 1%)", lambda step: 0.01 ** (step / 200)),
        (
            "warmup(100) -> exponential(to = 4%)",
            lambda step: (step + 1) / 100 if step < 100 else 0.04 ** ((step - 100) / 100),
        ),
        ("warmup(50) -> inverse_sqrt", lambda step: (step + 1) / 50 if step < 50 else math.sqrt(50 / step)),
        ("inverse_sqrt(start = 25%)", lambda step: math.sqrt(50 / (50 + step))),
        ("step_decay(0.1, at = [50, 75%])", lambda step: 1.0 if step < 50 else 0.1 if step < 150 else 0.01),
        ("cosine(to = 0, restarts = 3)", lambda step: (1 + math.cos(math.pi * (step % 50) / 50)) / 2),
        (
            "warmup(100) -> cosine(to = 50%, restarts = 1)",
            lambda step: (step + 1) / 100 if step < 100 else 0.75 + 0.25 * math.cos(math.pi * (step % 50) / 50),
        ),
    ],
)
def test_the_other_stages_are_their_formulas(schedule: str, factor: Callable[[int], float]) -> None:
    changes: dict[str, str | None] = {"epochs": None, "steps": "200", "optimizer": "SGD(lr = 0.5)"}
    found = rates_of(emitted(plan_of("pictures", {**changes, "schedule": schedule})), 200, 20)
    assert found == pytest.approx([0.5 * factor(step) for step in range(200)], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("to", ["0", "10%", "100%"])
@pytest.mark.parametrize("word", ["linear", "cosine"])
def test_the_last_rate_is_the_one_that_is_asked_for(word: str, to: str) -> None:
    """It is reached at the end of the run: by the step that would come after the last."""
    changes: dict[str, str | None] = {"epochs": None, "steps": "1_000", "schedule": f"warmup(100) -> {word}(to = {to})"}
    function = emitted(plan_of("pictures", {**changes, "optimizer": "SGD(lr = 0.5)"}))
    assert function(99) == 0.5
    assert function(1_000) == pytest.approx(0.5 * {"0": 0, "10%": 0.1, "100%": 1}[to], abs=1e-15)


TEXTS = {
    "constant": ["    return 3e-3"],
    "warmup(5%)": [
        "    warm = round(0.05 * steps)",
        "    if step < warm:",
        "        return 3e-3 * (step + 1) / warm",
        "    return 3e-3",
    ],
    "warmup(100) -> stable(2 * epoch) -> linear(to = 0)": [
        "    if step < 100:",
        "        return 3e-3 * (step + 1) / 100",
        "    held = 100 + 2 * epoch",
        "    if step < held:",
        "        return 3e-3",
        "    progress = (step - held) / (steps - held)",
        "    return 3e-3 * (1 - progress)",
    ],
    "warmup(100) -> inverse_sqrt": [
        "    if step < 100:",
        "        return 3e-3 * (step + 1) / 100",
        "    return 3e-3 * math.sqrt(100 / step)",
    ],
    "step_decay(0.1, at = [10 * epoch, 20 * epoch])": [
        "    if step < 10 * epoch:",
        "        return 3e-3",
        "    if step < 20 * epoch:",
        "        return 3e-4",
        "    return 3e-5",
    ],
    "linear(50%, to = 20%) -> cosine(to = 0)": [
        "    lowered = round(0.5 * steps)",
        "    if step < lowered:",
        "        progress = step / lowered",
        "        return 3e-3 - (3e-3 - 6e-4) * progress",
        "    progress = (step - lowered) / (steps - lowered)",
        "    return 6e-4 * (1 + math.cos(math.pi * progress)) / 2",
    ],
}


@pytest.mark.parametrize("schedule", TEXTS)
def test_it_reads_as_written_by_hand(schedule: str) -> None:
    plan = plan_of("pictures", {"schedule": schedule})
    assert write_learning_rate(plan.schedule, plan.optimizer.lr, plan.run)[2:] == TEXTS[schedule]


@pytest.mark.parametrize(
    ("schedule", "parameters"),
    [
        ("constant", "step: int"),
        ("warmup(10)", "step: int"),
        ("warmup(10) -> linear(to = 0)", "step: int, steps: int"),
        ("warmup(epoch)", "step: int, epoch: int"),
        ("warmup(epoch) -> cosine(to = 0)", "step: int, steps: int, epoch: int"),
    ],
)
def test_it_takes_what_it_needs(schedule: str, parameters: str) -> None:
    plan = plan_of("pictures", {"schedule": schedule})
    head = write_learning_rate(plan.schedule, plan.optimizer.lr, plan.run)[0]
    assert head == f"def learning_rate({parameters}) -> float:"


def test_a_peak_that_is_a_formula_is_worked_out_once() -> None:
    pytest.importorskip("torch", reason="runs the emitted recipe, which needs PyTorch")
    changes: dict[str, str | None] = {
        "optimizer": "Adam(lr = 2.0 * (classes * 400) ^ -0.5)",
        "schedule": "warmup(10) -> linear(to = 10%)",
    }
    plan = plan_of("pictures", changes)
    lines = write_learning_rate(plan.schedule, plan.optimizer.lr, plan.run)
    assert lines[2] == "    peak = 2.0 * (10 * 400) ** -0.5"
    assert lines[-1] == "    return peak - (peak - 0.1 * peak) * progress"
    assert recipe_of("pictures", changes).learning_rate(9, 100) == pytest.approx(2 * 4000**-0.5)


@pytest.mark.parametrize(
    ("schedule", "rise", "start", "to"),
    [
        ("one_cycle", 60, 0.04, 0.0),
        ("one_cycle(rise = 45%, start = 0, to = 1%)", 90, 0.0, 0.01),
        ("one_cycle(50%, to = 10%) -> constant", 30, 0.04, 0.1),
    ],
)
def test_one_cycle_is_half_a_wave_up_and_half_a_wave_down(schedule: str, rise: int, start: float, to: float) -> None:
    length = 100 if "50%," in schedule else 200

    def factor(step: int) -> float:
        if step < rise:
            return start + (1 - start) * (1 - math.cos(math.pi * step / rise)) / 2
        done = min(1.0, (step - rise) / (length - rise))
        return to + (1 - to) * (1 + math.cos(math.pi * done)) / 2

    changes: dict[str, str | None] = {"optimizer": "SGD(lr = 0.5)", "schedule": schedule}
    expected = [0.5 * factor(step) for step in range(200)]
    counted = emitted(plan_of("pictures", {**changes, "epochs": None, "steps": "200"}))
    assert rates_of(counted, 200, 20) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    passes = emitted(plan_of("pictures", {**changes, "epochs": "10"}))
    assert rates_of(passes, 200, 20) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("plateau(patience = 3)", [0.5, 0.05, 0.005]),
        ("plateau(patience = 3, factor = 0.5, to = 30%)", [0.5, 0.25, 0.15]),
        ("cosine(50%, to = 10%) -> plateau(patience = 1, factor = 1 / 3)", [0.05, 0.05 / 3, 0.05 / 9]),
    ],
)
def test_a_plateau_multiplies_the_rate_once_for_each_fall(schedule: str, rates: list[float]) -> None:
    changes: dict[str, str | None] = {"epochs": None, "steps": "200", "optimizer": "SGD(lr = 0.5)"}
    function = emitted(plan_of("pictures", {**changes, "schedule": schedule}))
    assert [function(150, falls=falls) for falls in range(3)] == pytest.approx(rates, rel=1e-12)
