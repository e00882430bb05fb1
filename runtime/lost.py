"""Checkpoints that a run had and has no more: neither going on nor training from its first step is what was meant."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from .checkpoint import LATEST, committed
from .errors import Refused
from .rundir import METRICS, Run, next_run_path


def require_no_lost_checkpoints(run: Run) -> None:
    """Raises Refused where the records of a run say that it had checkpoints, and none is there.

    A run that was ended before its first has none rightly, and begins again.
    """
    if committed(run.checkpoints):
        return
    step = _step_saved(run)
    if step:
        raise Refused(
            f"{run.path} was trained to step {step:,}, and its checkpoints are gone: {run.checkpoints} has none",
            f"Put them back from a copy, or train anew into another folder{_again(run)}.",
        )


def _step_saved(run: Run) -> int:
    """The last step that a checkpoint is known to have been made of, or after; 0 where none is known."""
    known = [session.step for session in run.manifest.sessions]
    if run.manifest.finished:
        known.append(run.manifest.finished["step"])
    if not run.checkpoints.is_dir():  # every run is made with this folder
        known.append(_last_step(run.path / METRICS))
    known.append(_named(run.checkpoints / LATEST))
    return max(known)


def _last_step(path: Path) -> int:
    try:
        return int(json.loads(path.read_bytes().splitlines()[-1])["step"])
    except (OSError, IndexError, ValueError, KeyError, TypeError):
        return 0


def _named(path: Path) -> int:
    """The step in `latest`, which is written behind the first checkpoint and never deleted."""
    try:
        return int(path.read_text().strip().removeprefix("step-"))
    except (OSError, ValueError):
        return 0


def _again(run: Run) -> str:
    """The command that the run was begun with, into a folder that is free; empty where it was no command."""
    words = shlex.split(run.manifest.sessions[0].command)
    if words[:2] != ["dlspec", "train"]:
        return ""
    if "--run" in words:
        place = words.index("--run")
        del words[place : place + 2]
    words = [word for word in words if not word.startswith("--run=")]
    free = next_run_path(run.path.name, run.path.parent)
    return f": `{shlex.join([*words, '--run', str(free)])}`"
