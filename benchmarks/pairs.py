"""Two trainings of one model, turn about in one process, and whether they are the same training.

Other work on a machine comes and goes within seconds. So the two sides do not run one after the other: every few
updates of ours the twin takes as many, and each such pair gives a ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from twin import Batch, Loop

from dlspec.runtime import Program, Quiet, train
from dlspec.runtime.data import Data, open_data
from dlspec.runtime.display import Title
from dlspec.runtime.order import Order


@dataclass(frozen=True)
class Took:
    """Seconds: that passed, and of the processor, which other processes on the machine disturb less."""

    passed: float
    processor: float

    @classmethod
    def now(cls) -> Took:
        return cls(time.perf_counter(), time.process_time())

    def since(self, before: Took) -> Took:
        return Took(self.passed - before.passed, self.processor - before.processor)


@dataclass(frozen=True)
class Pairs:
    """What the timed turns took, ours and theirs, and the losses of all updates."""

    ours: list[Took]
    theirs: list[Took]
    our_losses: list[float]
    their_losses: list[float]

    @property
    def ratios(self) -> list[float]:
        """Our speed in parts of theirs, for each pair."""
        return [theirs.passed / ours.passed for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def processor_ratios(self) -> list[float]:
        """The same by processor time."""
        return [theirs.processor / ours.processor for ours, theirs in zip(self.ours, self.theirs, strict=True)]


@dataclass(frozen=True)
class Agreement:
    """The first step at which two courses of the loss are further apart than allowed, else that which comes closest."""

    step: int
    difference: float
    allowed: float

    @property
    def good(self) -> bool:
        return self.difference <= self.allowed

    def __str__(self) -> str:
        if self.difference == 0:
            return "equal at every step"
        most = "at most " if self.good else ""
        return f"{most}{self.difference:.1e} apart at step {self.step}, where {self.allowed:.1e} is allowed"


def agreement(ours: Sequence[float], theirs: Sequence[float], exact: Sequence[float], factor: float = 4) -> Agreement:
    """Whether `ours` differs from `theirs` by rounding only, step by step.

    `exact` is the course of the twin in a higher precision. What rounding does at a step is what it has done to the
    twin there or before: training amplifies it, so that no fixed figure holds for all steps. We are allowed `factor`
    times that, but never more than a 256th of the loss, and in any case four roundings of the loss itself in fp32. A
    wrong epsilon, rate or mask is orders away.
    """
    drift, closest = 0.0, Agreement(0, 0.0, 1.0)
    for step, (one, other, right) in enumerate(zip(ours, theirs, exact, strict=True), 1):
        drift = max(drift, abs(other - right))
        allowed = min(factor * drift, abs(right) / 256) + 4 * 2**-23 * abs(right)
        here = Agreement(step, abs(one - other), allowed)
        if not here.good:
            return here
        if here.difference / allowed > closest.difference / closest.allowed:
            closest = here
    return closest


def batches_of(program: Program, folder: Path, count: int) -> list[Batch]:
    """What the first `count` updates of the program see."""
    options = program.options
    data: Data = open_data(dict(options.data), base=folder, seed=options.seed)
    order = Order(options.seed, len(data.train), options.batch)
    made = (data.train.batch(*order.batch_of(step)) for step in range(count))
    return [(batch["tokens"], batch["targets"]) for batch in made]


def train_in_turns(
    program: Program, folder: Path, run: Path, loop: Loop, *, pairs: int, length: int, device: str
) -> Pairs:
    """Train the program, with a turn of the twin after every `length` updates; the first pair is to warm up."""
    turns = _Turns(loop, length, torch.device(device))
    train(program, folder, run, device=device, display=turns, until=(pairs + 1) * length)
    return Pairs(turns.ours[1:], turns.theirs[1:], turns.losses, loop.losses)


class _Turns(Quiet):
    """A display that measures the time between two of its calls, and lets the twin work inside of one."""

    def __init__(self, loop: Loop, length: int, device: torch.device) -> None:
        self.ours: list[Took] = []
        self.theirs: list[Took] = []
        self.losses: list[float] = []
        self._loop = loop
        self._length = length
        self._wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
        self._before = Took.now()

    def begin(self, title: Title) -> None:
        self._before = Took.now()

    def step(self, step: int, losses: Mapping[str, float], rates: Mapping[str, float], speed: float) -> None:
        self.losses.append(losses["loss"])
        if step % self._length:
            return
        self._wait()
        between = Took.now()
        self.ours.append(between.since(self._before))
        with _plain_torch():
            self._loop.run(self._length)
            self._wait()
        self._before = Took.now()
        self.theirs.append(self._before.since(between))


@contextmanager
def _plain_torch() -> Iterator[None]:
    """PyTorch as a script finds it: our training may have asked for deterministic algorithms, the twin has not."""
    mode, benchmark = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    torch.set_deterministic_debug_mode("default")
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.backends.cudnn.benchmark = benchmark
