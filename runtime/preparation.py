"""What a training needs before its first step, found to fit together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .device import choose_device
from .display import Display
from .errors import Refused
from .isolation import Turn, Wanted
from .learner import Learner
from .order import Order
from .program import Program
from .schedule_fit import check_schedule

if TYPE_CHECKING:
    from .data import Data, Message
    from .weights import StartingWeights

OpenData = Callable[..., "Data"]


@dataclass(frozen=True)
class Prepared:
    """`steps` is how many updates the whole run takes, `notes` what there is to say of the weights it starts from."""

    program: Program
    data: Data
    order: Order
    learner: Learner
    turn: Turn
    steps: int
    notes: tuple[str, ...] = ()


def prepare(
    program: Program, data: Data, turn: Turn, device: torch.device, start: StartingWeights | None = None
) -> Prepared:
    """A learner at its first step, with weights that are drawn or those of `start`.

    Raises Refused where the settings ask for what the data does not have, and where `start` is not the model's.
    """
    _require_validation(program, data)
    options = program.options
    order = Order(options.seed, len(data.train), options.batch)
    steps = options.steps or max(1, round((options.epochs or 0) * order.per_epoch))
    # Before there is a learner, which may keep copies of weights.
    model = program.make_model(device)
    notes = () if start is None else start.fill(model, program.options.copies)
    return Prepared(program, data, order, Learner(program, device, model), turn, steps, notes)


def open_starting_weights(program: Program, base: Path) -> StartingWeights | None:
    """The files that the recipe starts from; None where weights are drawn. Raises Refused."""
    if program.options.start is None:
        return None
    from .weights import open_start

    return open_start(program.options.start, base)


def open_fitting_data(program: Program, base: Path, open_data: OpenData | None, display: Display) -> Data:
    """The data, found to fit the model. What is only doubtful is noted; raises DataError, Refused. Batches raise
    Refused, too, where targets are not what the loss takes."""
    from .data import check_data, watched
    from .data import open_data as standard

    options = program.options
    data = (open_data or standard)(dict(options.data), base=base, seed=options.seed)
    messages = check_data(options, data)
    require_fit(messages)
    check_schedule(options, len(data.train))
    for note in data.notes:
        display.note(note)
    for message in messages:
        display.note(". ".join(part for part in (message.text, message.help) if part))
    return watched(options, data)


def require_fit(messages: Sequence[Message]) -> None:
    """Raises Refused with all that does not fit between a model and its data, where anything does not."""
    errors = [message for message in messages if message.severity == "error"]
    if errors:
        raise Refused("\n".join(one.text for one in errors), "\n".join(one.help for one in errors if one.help))


def wanted(program: Program, device: torch.device) -> Wanted:
    """The global state that the program asks for."""
    return Wanted(device, program.options.deterministic, program.options.precision)


def device_of(kind: str) -> torch.device:
    """The kind of device a run was on; where there is none, the one there is (the caller tells what differs)."""
    with suppress(Refused):
        return choose_device(kind)
    return choose_device("auto")


def _require_validation(program: Program, data: Data) -> None:
    options = program.options
    looks = "early_stop" if options.early_stop else "plateau" if options.plateau else None
    if data.validation is None and (options.validate or looks):
        raise Refused(
            f"{looks or 'validate'} needs validation data, and there is none",
            "Give a `split` with a part for validation, or take the setting away.",
        )
    if looks and not options.validate:
        raise Refused(f"{looks} looks at validations, and there is only the last", "Set `validate = every(...)`.")
