"""The loss and metrics of a trained run, and its model."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from torch import nn

from .checkpoint import Contents, choose_checkpoint, read_evaluated
from .continuation import data_differences
from .device import choose_device, device_faults_are_told
from .display import Display, Quiet
from .errors import Refused
from .isolation import borrow
from .learner import Learner, restore_model
from .lost import require_no_lost_checkpoints
from .preparation import OpenData, open_fitting_data, require_fit, wanted
from .program import Program
from .rundir import Run, find_data_base, verify_run
from .validation import measure_split

SPLITS = ("train", "validation")


def evaluate(
    program: Program,
    run: Path,
    split: str = "validation",
    *,
    device: str = "auto",
    data_base: Path | None = None,
    checkpoint: int | None = None,
    trust_code: bool = False,
    display: Display | None = None,
    open_data: OpenData | None = None,
) -> dict[str, float | None]:
    """The loss and metrics of a run's newest checkpoint (or that of a step) over a whole split; not finite is None.

    Raises Refused where the run is damaged or the data has no such split, DataError where the data cannot be had.
    """
    from .data import check_last_batch

    with ExitStack() as stack:
        whole = verify_run(run, trust_code=trust_code)
        contents = _read(whole, checkpoint)
        chosen = choose_device(device)
        show = display or Quiet()
        data = open_fitting_data(program, data_base or find_data_base(whole), open_data, show)
        for line in data_differences(whole.manifest.data, data.fingerprint):
            show.note(f"the data is not what the run was trained on: {line}")
        splits = {"train": data.train.in_evaluation()}
        splits |= {} if data.validation is None else {"validation": data.validation}
        if split not in splits:
            raise Refused(f"the data has no split {split}", f"There are: {', '.join(splits)}.")
        if split == "train":  # what is for validation was looked at with the data
            require_fit(check_last_batch(program.options, splits[split], "training"))
        turn = stack.enter_context(borrow(wanted(program, chosen)))
        stack.enter_context(device_faults_are_told())
        learner = Learner(program, chosen)
        learner.restore_model(contents.model)
        learner.restore_kept(contents.kept)
        values = measure_split(learner, turn, splits[split], decode=data.decode)
        assert values is not None  # nothing asks it to stop
        return values


def load_model(
    program: Program, run: Path, checkpoint: int | None = None, *, device: str = "cpu", trust_code: bool = False
) -> nn.Module:
    """The trained model of a run, in evaluation: of its newest checkpoint, or of that of a step. Raises Refused."""
    contents = _read(verify_run(run, trust_code=trust_code), checkpoint)
    model = program.make_model()
    restore_model(model, contents.model)
    return model.to(choose_device(device)).eval()


def _read(run: Run, checkpoint: int | None) -> Contents:
    require_no_lost_checkpoints(run)
    found = choose_checkpoint(run.checkpoints, checkpoint)
    if found is None:
        raise Refused(f"{run.path} has no checkpoint yet", f"Train first: `dlspec resume {run.path}`.")
    return read_evaluated(found)
