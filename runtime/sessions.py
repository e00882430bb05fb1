"""A stretch of training from its beginning to its end: a new run, or an old one that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .checkpoint import Contents, choose_checkpoint, clean_up, read_checkpoint, set_aside
from .continuation import require_same_course, require_same_data, require_same_start, require_steps_left
from .device import choose_device, device_faults_are_told
from .display import Display, Quiet, Title
from .errors import Refused
from .feed import Feed
from .isolation import borrow
from .loop import Position, Sampler, Training, train_loop, unit
from .lost import require_no_lost_checkpoints
from .manifest import Machine, Manifest, new_session, this_machine, with_session, write_manifest
from .preparation import OpenData, Prepared, device_of, open_fitting_data, open_starting_weights, prepare, wanted
from .program import Program
from .records import EMPTY, Records
from .rundir import (
    METRICS,
    SAMPLES,
    Run,
    create_run,
    data_bases,
    find_data_base,
    finish_texts,
    locked,
    next_run_path,
    replace_texts,
    require_new,
    text_hash,
    verify_run,
)
from .settings import Settings
from .signals import StopRequest, stop_requests
from .stopping import Patience


@dataclass(frozen=True)
class Result:
    """How a training ended: `finished` is "steps" or "early_stop", None where it was only to go as far as it did.

    `validation` is what the last validation gave; None stands for what is not finite. `best` is the step of the best
    one, whose checkpoint is kept, where the recipe stops early.
    """

    run: Path
    step: int
    steps: int
    finished: str | None
    validation: Mapping[str, float | None]
    best: int | None = None


@dataclass(frozen=True)
class _Company:
    """Who else takes part: the display, the sampler, the signals; `until` ends a session early."""

    display: Display
    sampler: Sampler | None
    request: StopRequest
    until: int | None


def train(
    program: Program,
    data_base: Path,
    run: Path | None = None,
    *,
    device: str = "auto",
    display: Display | None = None,
    texts: Mapping[str, str] | None = None,
    command: str = "",
    open_data: OpenData | None = None,
    sampler: Sampler | None = None,
    until: int | None = None,
) -> Result:
    """Train a program from its first step into a new run directory (default: `runs/<name>-<n>`).

    `data_base` is the folder that data files are relative to; `texts` are laid into the run beside the emitted code;
    `sampler` writes the samples that the spec asks for; `until` stops after that many updates as a signal would, and
    returns. Raises Refused, DataError, Diverged, DiskFull, Stopped.
    """
    show = display or Quiet()
    with ExitStack() as stack:
        request = stack.enter_context(stop_requests(saved=False))
        path = run or next_run_path(program.name)
        require_new(path)
        _require_sampler(program, sampler)
        chosen = choose_device(device)
        start = open_starting_weights(program, data_base)
        data = open_fitting_data(program, data_base, open_data, show)
        turn = stack.enter_context(borrow(wanted(program, chosen)))
        stack.enter_context(device_faults_are_told())
        prepared = prepare(program, data, turn, chosen, start)
        laid = {**(texts or {}), **program.texts}
        manifest = Manifest(
            name=program.name,
            recipe=program.options.recipe,
            seed=program.options.seed,
            program=program.hash,
            texts={name: text_hash(text) for name, text in laid.items()},
            data={name: dict(one) for name, one in data.fingerprint.items()},
            data_base=data_bases(path, data_base),
            sessions=(new_session(0, command, program.hash, this_machine(chosen)),),
            start=None if start is None else start.provenance(),
        )
        made = create_run(path, manifest, laid)
        stack.enter_context(locked(path))
        return _go(stack, made, prepared, None, _Company(show, sampler, request, until))


def resume(
    program: Program,
    run: Path,
    *,
    device: str | None = None,
    data_base: Path | None = None,
    checkpoint: int | None = None,
    threads: int | None = None,
    display: Display | None = None,
    texts: Mapping[str, str] | None = None,
    command: str = "",
    trust_code: bool = False,
    open_data: OpenData | None = None,
    sampler: Sampler | None = None,
    until: int | None = None,
) -> Result:
    """Go on with a run exactly where it stopped, or from the `checkpoint` of a step.

    `program` is the run's own, or one of a changed spec, whose `texts` then take the place of the run's. The device,
    the number of threads and the folder of the data are the run's unless given. What differs from the machine of
    before is told as a note each: on the same kind of machine, versions, device and threads the outcome is equal bit
    by bit. Raises what `train` raises, and Refused where anything in the run is not what was written.
    """
    show = display or Quiet()
    with ExitStack() as stack:
        request = stack.enter_context(stop_requests(saved=True))
        verify_run(run, trust_code=trust_code)
        stack.enter_context(locked(run))
        old = verify_run(run, trust_code=trust_code)
        require_no_lost_checkpoints(old)
        if old.manifest.finished and checkpoint is None and program.hash == old.manifest.program:
            return _finished_before(old, program.options, show)
        _require_sampler(program, sampler)
        old = finish_texts(old)
        clean_up(old.checkpoints)
        found = choose_checkpoint(old.checkpoints, checkpoint)
        contents = read_checkpoint(found) if found else None
        before = old.manifest.sessions[-1].machine
        chosen = choose_device(device) if device else device_of(before.device)
        base = data_base or find_data_base(old)
        # Checkpoints hold the weights; a run that has none begins again.
        start = open_starting_weights(program, base) if contents is None else None
        first = None if start is None else start.provenance()
        if program.hash == old.manifest.program:
            require_same_start(old.manifest.start, first)
        data = open_fitting_data(program, base, open_data, show)
        require_same_data(old.manifest.data, data.fingerprint)
        turn = stack.enter_context(borrow(wanted(program, chosen), threads or before.threads))
        stack.enter_context(device_faults_are_told())
        prepared = prepare(program, data, turn, chosen, start)
        if contents is not None:
            _restore(prepared, contents)
        if checkpoint is not None:
            for path in set_aside(old.checkpoints, checkpoint):
                show.note(f"a later checkpoint was set aside as {path.name}; delete it when it is of no use")
        machine = this_machine(chosen)
        _tell_differences(before, machine, show)
        session = new_session(found.step if found else 0, command, program.hash, machine)
        manifest = replace(with_session(old.manifest, session), finished=None, start=first or old.manifest.start)
        if data_base is not None:
            manifest = replace(manifest, data_base=data_bases(run, data_base))
        new = replace_texts(old, manifest, {**(texts or {}), **program.texts})
        return _go(stack, new, prepared, contents, _Company(show, sampler, request, until))


def _go(stack: ExitStack, run: Run, prepared: Prepared, contents: Contents | None, company: _Company) -> Result:
    """Open the logs, train, and note the end in the manifest."""
    options, learner = prepared.program.options, prepared.learner
    for note in prepared.notes:
        company.display.note(note)
    position = _position(contents, prepared.program)
    feed = Feed(prepared.order, prepared.data.train, ahead=learner.device.type == "cuda")
    stack.callback(feed.close)
    logs = {}
    for name in (METRICS, SAMPLES) if options.sample else (METRICS,):
        records = logs[name] = Records(run.path / name)
        stack.callback(records.close)
        if not records.cut_back(contents.state["logs"].get(name, EMPTY) if contents else EMPTY, position.step):
            company.display.note(f"{name} was edited; its lines up to step {position.step} stay as they are")
    training = Training(
        options=options,
        run=run,
        learner=learner,
        data=prepared.data,
        order=prepared.order,
        feed=feed,
        steps=prepared.steps,
        turn=prepared.turn,
        request=company.request,
        metrics=logs[METRICS],
        samples=logs.get(SAMPLES),
        sampler=company.sampler,
        display=company.display,
        position=position,
        saved=position.step if contents else None,
        until=company.until,
    )
    company.display.begin(_title(training))
    stack.callback(company.display.end)
    company.request.defer()
    train_loop(training)
    if position.finished:
        finished = {
            "why": position.finished,
            "step": position.step,
            "validation": position.validation,
            "best": position.patience.at,
        }
        write_manifest(run.path, replace(run.manifest, finished=finished))
    best = position.patience.at
    return Result(run.path, position.step, training.steps, position.finished, position.validation, best)


def _restore(prepared: Prepared, contents: Contents) -> None:
    require_same_course(contents.state, prepared.program.options)
    require_steps_left(contents.state["step"], prepared.steps)
    prepared.learner.restore_model(contents.model, contents.trained)
    prepared.learner.restore_kept(contents.kept)
    prepared.learner.restore_optimizer(contents.optimizer, contents.state["optimizer"])


def _position(contents: Contents | None, program: Program) -> Position:
    """Where the checkpoint stands; under a changed program a run that was finished may have more to do."""
    if contents is None:
        return Position()
    state: dict[str, Any] = dict(contents.state["position"])
    if contents.state["program"] != program.hash:
        state["finished"] = None
    for name in ("patience", "plateau"):
        state[name] = Patience(**state.get(name, {}))  # runs of before have no plateau
    return Position(**state)


def _require_sampler(program: Program, sampler: Sampler | None) -> None:
    if program.options.sample and sampler is None:
        raise Refused("the spec asks for samples, and nothing was given that writes them", "Take `sample` away.")


def _tell_differences(before: Machine, now: Machine, display: Display) -> None:
    for line in before.differences(now):
        display.note(f"{line}: the outcome may differ in the last bits from that of a run never stopped")


def _title(training: Training) -> Title:
    manifest = training.run.manifest
    machine = manifest.sessions[-1].machine
    return Title(
        name=manifest.recipe,
        run=str(training.run.path),
        device=machine.accelerator or f"CPU, {machine.threads} thread{'s' if machine.threads > 1 else ''}",
        first=training.position.step,
        steps=training.steps,
        unit=unit(training.options),
        parameters=_parameters(training),
    )


def _parameters(training: Training) -> int:
    """How many the model has; those of momentum copies are not its own."""
    copies = tuple(f"{path}." for path in training.options.copies)
    named = training.learner.model.named_parameters()
    return sum(p.numel() for name, p in named if not name.startswith(copies))


def _finished_before(run: Run, options: Settings, display: Display) -> Result:
    finished = run.manifest.finished
    assert finished is not None
    why, onward = "all steps are done", f"train.{'epochs' if options.steps is None else 'steps'}=..."
    if finished["why"] == "early_stop":
        # More steps would be no reason to go on: what stopped it would stop it again.
        why, onward = "early stopping", "train.early_stop=none"
    display.note(f"{run.path} is finished at step {finished['step']}: {why}. Train on with `--set {onward}`.")
    step, best = finished["step"], finished.get("best")
    return Result(run.path, step, step, finished["why"], finished["validation"], best)
