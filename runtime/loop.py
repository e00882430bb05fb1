"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from .checkpoint import Contents, save_checkpoint
from .display import Display
from .divergence import Pass, report_divergence
from .errors import Stopped
from .feed import Feed, Portion
from .isolation import Turn
from .learner import Batch, Learner
from .order import Order
from .records import Records
from .rundir import Run
from .settings import Length, Phase, Plateau, Settings
from .signals import StopRequest
from .stopping import Patience
from .validation import measure_split

if TYPE_CHECKING:
    from .data import Data

Sampler = Callable[[nn.Module, str], str]

# The log has about this many lines of training, however long the run.
TRAIN_RECORDS = 1000


@dataclass
class Position:
    """Where a training stands after `step` updates: all of it goes into the checkpoint. `falls` is how often the rate
    fell because nothing got better.

    `pending`: what follows the last update (validation, early stopping, a sample) is still to come. `finished` says
    why there is nothing more to do: "steps" or "early_stop".
    """

    step: int = 0
    pending: bool = False
    finished: str | None = None
    patience: Patience = field(default_factory=Patience)
    plateau: Patience = field(default_factory=Patience)
    falls: int = 0
    validation: dict[str, float | None] = field(default_factory=dict)
    rate: float = 0.0


@dataclass
class Training:
    """A training that is under way; `steps` is how many updates it takes in all, `saved` the step last committed."""

    options: Settings
    run: Run
    learner: Learner
    data: Data
    order: Order
    feed: Feed
    steps: int
    turn: Turn
    request: StopRequest
    metrics: Records
    samples: Records | None
    sampler: Sampler | None
    display: Display
    position: Position
    saved: int | None = None
    until: int | None = None
    seconds: float = 0.0
    entries: int = 0

    def due(self, every: Length | None) -> bool:
        return every is not None and self.position.step % every.in_steps(self.order.per_epoch, self.steps) == 0

    def asked_to_stop(self) -> bool:
        return bool(self.request) or (self.until is not None and self.position.step >= self.until)


def train_loop(training: Training) -> None:
    """Train until the steps are done, early stopping says so, or a signal asks to stop.

    In the last case everything is saved and Stopped is raised. Raises Diverged before the update that would take a
    loss or gradient that is no finite number, and DiskFull.
    """
    position = training.position
    while not position.finished and not training.asked_to_stop():
        if position.pending:
            follow_up(training)
        elif position.step >= training.steps:
            position.finished = "steps"
        else:
            update(training)
    if position.finished:
        return
    if position.step and training.saved != position.step:
        save(training)
    if training.request.received is not None:
        raise _stopped(training, training.request.received.name)


def update(training: Training) -> None:
    """One update of the weights."""
    position, learner = training.position, training.learner
    begun = time.perf_counter()
    portion = training.feed.portion(position.step)
    passes: dict[str, Pass] = {}
    with training.turn:
        for phase, time_ in learner.turns():
            rate = learner.program.learning_rate(
                position.step, training.steps, training.order.per_epoch, phase, falls=position.falls
            )
            gradients = learner.update(training.turn, portion.batch, position.step, rate, phase, time_)
            passes[phase.name] = Pass(phase, gradients, rate)
            if not gradients.finite:
                raise report_divergence(training.run, learner, portion, position.step, passes[phase.name])
        learner.update_copies()
        learner.update_average(position.step)
    position.step += 1
    position.pending = True
    position.rate = next(iter(passes.values())).rate
    training.seconds += time.perf_counter() - begun
    training.entries += entries_of(training.options, portion.batch)
    record_update(training, portion, list(passes.values()))


def record_update(training: Training, portion: Portion, passes: Sequence[Pass]) -> None:
    """Show the update, and log it if it is the first, the last, or its turn has come.

    Of a phase that runs several times the last is what counts.
    """
    position = training.position
    speed = training.entries / max(training.seconds, 1e-9)
    losses = {one.phase.function("loss"): one.gradients.loss for one in passes}
    rates = _rates([(one.phase, one.rate) for one in passes])
    training.display.step(position.step, losses, rates, speed)
    every = max(1, training.steps // TRAIN_RECORDS)
    if position.step % every and position.step not in (1, training.steps):
        return
    record = {
        "step": position.step,
        "split": "train",
        **losses,
        **rates,
        **{one.phase.function("gradient_norm"): _norm(one) for one in passes},
        "epoch": portion.epoch,
        f"{unit(training.options)}_per_second": round(speed, 1),
    }
    log(training, record)
    training.seconds, training.entries = 0.0, 0


def _norm(one: Pass) -> float | None:
    """None of a gradient that overflowed: JSON has no word for it."""
    return None if one.gradients.overflowed else one.gradients.norm


def _rates(rates: Sequence[tuple[Phase, float]]) -> dict[str, float]:
    """The one rate of all phases, or one each."""
    if len({phase.learning_rate for phase, _ in rates}) == 1:
        return {"lr": rates[0][1]}
    return {phase.function("lr"): rate for phase, rate in rates}


def _rates_at(training: Training) -> dict[str, float]:
    """Those of the last update, which a run that was stopped behind it has not made itself."""
    position = training.position
    known = (position.step - 1, training.steps, training.order.per_epoch)
    rate_of = training.learner.program.learning_rate
    return _rates([(phase, rate_of(*known, phase, falls=position.falls)) for phase in training.options.phases])


def follow_up(training: Training) -> None:
    """What is due after an update: validation, early stopping, a sample, a checkpoint. Left pending by a signal."""
    position, options = training.position, training.options
    last = position.step == training.steps
    if training.data.validation is not None and (training.due(options.validate) or last):
        values = measure_split(
            training.learner,
            training.turn,
            training.data.validation,
            training.asked_to_stop,
            decode=training.data.decode,
        )
        if values is None:
            return
        position.validation = values
        log(training, {"step": position.step, "split": "validation", **values, **_rates_at(training)})
        if options.plateau is not None:
            watch_for_plateau(training, options.plateau, values)
        if options.early_stop is not None:
            position.patience = position.patience.after(options.early_stop, values, position.step)
            if position.patience.waited >= options.early_stop.patience:
                position.finished = "early_stop"
    if options.sample is not None and training.due(options.sample.every):
        sample(training, options.sample.prompt)
    if last:
        position.finished = "steps"
    position.pending = False
    if position.finished or position.patience.at == position.step or training.due(options.checkpoint_every):
        save(training)


def watch_for_plateau(training: Training, plateau: Plateau, values: Mapping[str, float | None]) -> None:
    """Count a validation; after too many that are no better the rate falls, and the count begins again."""
    position = training.position
    before = sum(length.in_steps(training.order.per_epoch, training.steps) for length in plateau.after)
    if position.step <= before:
        return
    position.plateau = position.plateau.after(plateau, values, position.step)
    if position.plateau.waited > plateau.patience:
        position.plateau = replace(position.plateau, waited=0)
        position.falls += 1


def sample(training: Training, prompt: str) -> None:
    """Let the model speak, and log what it said."""
    assert training.sampler is not None and training.samples is not None
    with training.learner.evaluated() as model, training.turn:
        text = training.sampler(model, prompt)
    training.samples.write({"step": training.position.step, "prompt": prompt, "text": text})
    training.display.sample(training.position.step, text)


def save(training: Training) -> None:
    """Commit where the training stands, unless this step is committed already (with something pending, perhaps)."""
    step = training.position.step
    if training.saved == step:
        return
    learner, marks = training.learner, {}
    for records in (training.metrics, training.samples):
        if records is not None:
            records.sync()
            marks[records.path.name] = records.mark
    state = {
        **describe(training),
        "position": asdict(training.position),
        "logs": marks,
        "optimizer": learner.optimizer_state(),
    }
    trained, kept = learner.trained_tensors(), learner.kept_tensors()
    contents = Contents(learner.model_tensors(), learner.optimizer_tensors(), state, trained, kept)
    best = training.position.patience.at
    save_checkpoint(training.run.checkpoints, step, contents, training.options.keep, spared=best)
    training.saved = step
    training.display.saved(step)


def describe(training: Training) -> dict[str, Any]:
    """What a checkpoint says of the training it belongs to."""
    options, position = training.options, training.position
    session = training.run.manifest.sessions[-1]
    return {
        "step": position.step,
        "samples_seen": position.step * options.batch,
        "lr": position.rate,
        "seed": options.seed,
        "batch": options.batch,
        "data": options.data,
        "program": session.program,
        "machine": asdict(session.machine),
    }


def log(training: Training, record: Mapping[str, Any]) -> None:
    training.metrics.write(record)
    training.display.record(record)


def unit(options: Settings) -> str:
    """What speed is counted in."""
    return "tokens" if _token_field(options) else "samples"


def entries_of(options: Settings, batch: Batch) -> int:
    """How many of them a batch has."""
    field_name = _token_field(options)
    return batch[field_name].numel() if field_name else len(next(iter(batch.values())))


def _token_field(options: Settings) -> str | None:
    """The field of the first input, where that is a sequence of whole numbers."""
    first = options.inputs[0]
    return options.bind[first.name] if first.dtype == "int" and len(first.dims) > 1 else None


def _stopped(training: Training, signal_name: str) -> Stopped:
    step, path = training.position.step, training.run.path
    if not step:
        return Stopped(f"stopped by {signal_name} before the first step: nothing to save", saved=False, run=path)
    return Stopped(
        f"stopped by {signal_name} after step {step} of {training.steps}; everything is saved",
        f"Go on with `dlspec resume {path}`.",
        saved=True,
        step=step,
        run=path,
    )
