"""A stretch of training from its beginning to its end: a new run, or an old one that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint import Contents, choose_checkpoint, clean_up, read_checkpoint, set_aside
from .continuation import require_same_course, require_same_data, require_steps_left
from .device import choose_device, device_faults_are_told
from .display import Display, Quiet, Title
from .errors import Refused
from .feed import Feed
from .isolation import Turn, Wanted, borrow
from .learner import Learner
from .loop import Position, Sampler, Training, train_loop, unit
from .manifest import Manifest, new_session, this_machine, with_session, write_manifest
from .order import Order
from .program import Program
from .records import Records
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
    text_hash,
    verify_run,
)
from .signals import StopRequest, stop_requests
from .stopping import Patience

if TYPE_CHECKING:
    from .data import Data

OpenData = Callable[..., "Data"]


@dataclass(frozen=True)
class Result:
    """How a training ended: `finished` is "steps" or "early_stop", None where it was only to go as far as it did."""

    run: Path
    step: int
    steps: int
    finished: str | None
    validation: Mapping[str, float]


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
    options, show = program.options, display or Quiet()
    with ExitStack() as stack:
        request = stack.enter_context(stop_requests(saved=False))
        path = run or next_run_path(program.name)
        if path.exists():
            raise Refused(f"{path} exists already, and a run is never overwritten", "Give another directory.")
        chosen = choose_device(device)
        data = _open(program, data_base, open_data, show)
        turn = stack.enter_context(borrow(_wanted(program, chosen)))
        stack.enter_context(device_faults_are_told())
        order = Order(options.seed, len(data.train), options.batch)
        _require_what_is_asked(program, data, sampler)
        learner = Learner(program, chosen)
        laid = {**(texts or {}), **_emitted(program)}
        manifest = Manifest(
            name=program.name,
            recipe=options.recipe,
            seed=options.seed,
            program=program.hash,
            texts={name: text_hash(text) for name, text in laid.items()},
            data={name: dict(one) for name, one in data.fingerprint.items()},
            data_base=data_bases(path, data_base),
            sessions=(new_session(0, command, program.hash, this_machine(chosen)),),
        )
        made = create_run(path, manifest, laid)
        stack.enter_context(locked(path))
        return _go(stack, made, learner, data, order, turn, request, sampler, show, until, contents=None)


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
        if old.manifest.finished and checkpoint is None and program.hash == old.manifest.program:
            return _finished_before(old, show)
        old = finish_texts(old)
        clean_up(old.checkpoints)
        chosen_checkpoint = choose_checkpoint(old.checkpoints, checkpoint)
        contents = read_checkpoint(chosen_checkpoint) if chosen_checkpoint else None
        step = chosen_checkpoint.step if chosen_checkpoint else 0

        before = old.manifest.sessions[-1].machine
        chosen = choose_device(device) if device else _device_of(before.device)
        data = _open(program, data_base or find_data_base(old), open_data, show)
        require_same_data(old.manifest.data, data.fingerprint)
        turn = stack.enter_context(borrow(_wanted(program, chosen), threads or before.threads))
        stack.enter_context(device_faults_are_told())
        if contents is not None:
            require_same_course(contents.state, program.options)
        order = Order(program.options.seed, len(data.train), program.options.batch)
        require_steps_left(step, _steps(program, order))
        _require_what_is_asked(program, data, sampler)
        learner = Learner(program, chosen)
        if contents is not None:
            learner.restore_model(contents.model)
            learner.restore_optimizer(contents.optimizer, contents.state["optimizer"])

        machine = this_machine(chosen)
        for line in before.differences(machine):
            show.note(f"{line}: the outcome may differ in the last bits from that of a run never stopped")
        if checkpoint is not None:
            for path in set_aside(old.checkpoints, step):
                show.note(f"a later checkpoint was set aside as {path.name}; delete it when it is of no use")
        manifest = with_session(old.manifest, new_session(step, command, program.hash, machine))
        manifest = replace(manifest, finished=None)
        if data_base is not None:
            manifest = replace(manifest, data_base=data_bases(run, data_base))
        new = replace_texts(old, manifest, {**(texts or {}), **_emitted(program)})
        return _go(stack, new, learner, data, order, turn, request, sampler, show, until, contents)


def _go(
    stack: ExitStack,
    run: Run,
    learner: Learner,
    data: Data,
    order: Order,
    turn: Turn,
    request: StopRequest,
    sampler: Sampler | None,
    display: Display,
    until: int | None,
    contents: Contents | None,
) -> Result:
    options = learner.options
    position = _position(contents.state["position"]) if contents else Position()
    feed = Feed(order, data.train, ahead=learner.device.type == "cuda")
    stack.callback(feed.close)
    logs = {}
    for name in (METRICS, SAMPLES) if options.sample else (METRICS,):
        records = logs[name] = Records(run.path / name)
        stack.callback(records.close)
        mark = contents.state["logs"].get(name) if contents else None
        if not records.cut_back(mark, position.step):
            display.note(f"{name} was edited; its lines up to step {position.step} stay as they are")
    training = Training(
        options=options,
        run=run,
        learner=learner,
        data=data,
        order=order,
        feed=feed,
        steps=_steps(learner.program, order),
        turn=turn,
        request=request,
        metrics=logs[METRICS],
        samples=logs.get(SAMPLES),
        sampler=sampler,
        display=display,
        position=position,
        saved=position.step if contents else None,
        until=until,
    )
    display.begin(_title(training, run))
    stack.callback(display.end)
    request.defer()
    train_loop(training)
    if training.finished:
        finished = {"why": training.finished, "step": position.step, "validation": position.validation}
        write_manifest(run.path, replace(run.manifest, finished=finished))
    return Result(run.path, position.step, training.steps, training.finished, position.validation)


def _open(program: Program, base: Path, open_data: OpenData | None, display: Display) -> Data:
    """The data, found to fit the model; what is only doubtful is noted."""
    from .data import check_data
    from .data import open_data as standard

    data = (open_data or standard)(dict(program.options.data), base=base, seed=program.options.seed)
    messages = check_data(program.options, data)
    errors = [message for message in messages if message.severity == "error"]
    if errors:
        raise Refused("\n".join(one.text for one in errors), "\n".join(one.help for one in errors if one.help))
    for message in messages:
        display.note(". ".join(part for part in (message.text, message.help) if part))
    return data


def _require_what_is_asked(program: Program, data: Data, sampler: Sampler | None) -> None:
    options = program.options
    if data.validation is None and (options.validate or options.early_stop):
        raise Refused(
            f"{'early_stop' if options.early_stop else 'validate'} needs validation data, and there is none",
            "Give a `split` with a part for validation, or take the setting away.",
        )
    if options.early_stop and not options.validate:
        raise Refused("early_stop looks at validations, and there is only the last", "Set `validate = every(...)`.")
    if options.sample and sampler is None:
        raise Refused("the spec asks for samples, and only a language model can write them", "Take `sample` away.")


def _wanted(program: Program, device: torch.device) -> Wanted:
    return Wanted(device, program.options.deterministic, program.options.precision)


def _device_of(kind: str) -> torch.device:
    """The kind of device a run was on; where there is none, the one there is (a note will tell)."""
    with suppress(Refused):
        return choose_device(kind)
    return choose_device("auto")


def _emitted(program: Program) -> dict[str, str]:
    return {f"{program.name}.py": program.model_code, f"{program.name}_recipe.py": program.recipe_code}


def _steps(program: Program, order: Order) -> int:
    options = program.options
    if options.steps is not None:
        return options.steps
    assert options.epochs is not None
    return max(1, round(options.epochs * order.per_epoch))


def _position(state: Mapping[str, Any]) -> Position:
    return Position(**{**state, "patience": Patience(**state["patience"])})


def _title(training: Training, run: Run) -> Title:
    machine = run.manifest.sessions[-1].machine
    return Title(
        name=run.manifest.recipe,
        run=str(run.path),
        device=machine.accelerator or f"CPU, {machine.threads} thread{'s' if machine.threads > 1 else ''}",
        first=training.position.step,
        steps=training.steps,
        unit=unit(training.options),
        parameters=sum(p.numel() for p in training.learner.model.parameters()),
    )


def _finished_before(run: Run, display: Display) -> Result:
    finished = run.manifest.finished
    assert finished is not None
    step, why = finished["step"], "early stopping" if finished["why"] == "early_stop" else "all steps are done"
    display.note(f"{run.path} is finished: step {step}, {why}. Train on with `--set steps=...`.")
    return Result(run.path, step, step, finished["why"], finished["validation"])
