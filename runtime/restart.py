"""Proof that a restart changes nothing: a training in one go against the same in two, compared bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .checkpoint import COMMIT, choose_checkpoint
from .errors import ProofFailed, RuntimeFault
from .program import Program
from .rundir import METRICS
from .sessions import resume, train

# Different in two runs by nature.
SPEEDS = ("tokens_per_second", "samples_per_second")


@dataclass(frozen=True)
class Proof:
    """What was found equal over `steps` updates, with a restart after `restart` of them or without."""

    steps: int
    restart: int
    records: int
    files: tuple[str, ...]


def verify_resume(program: Program, data_base: Path, steps: int = 20, *, device: str = "auto") -> Proof:
    """Train `steps` updates, and the same in two halves, the second in a process of its own; compare everything.

    Weights, the optimizer's state and all metrics but speeds have to be equal bit by bit. Raises ProofFailed with
    the first difference, and whatever training raises.
    """
    # Samples show what a model writes, and change nothing of it.
    short = replace(program, settings={**program.settings, "steps": steps, "epochs": None, "sample": None})
    restart = max(1, steps // 2)
    with TemporaryDirectory(prefix="dlspec-") as folder:
        whole, halves = Path(folder) / "whole", Path(folder) / "halves"
        train(short, data_base, whole, device=device)
        train(short, data_base, halves, device=device, until=restart)
        _resume_elsewhere(short, halves)
        files = _compare_checkpoints(whole, halves)
        return Proof(steps, restart, _compare_metrics(whole, halves), files)


def _resume_elsewhere(program: Program, run: Path) -> None:
    """Resume in a new process, which knows nothing but the run directory and the program."""
    root = Path(__file__).resolve().parents[1]
    start = (
        # As deep as this process: what a spec nests is walked there, too.
        f"import sys; sys.setrecursionlimit({sys.getrecursionlimit()}); sys.path[:0] = {_search_path()!r}; "
        f"from {__package__}.{Path(__file__).stem} import main; main()"
    )
    plain = {"settings": dict(program.settings), "beside": dict(program.beside)}
    task = json.dumps({"program": {**asdict(program), **plain}, "run": str(run)})
    done = subprocess.run([sys.executable, "-c", start], input=task, capture_output=True, text=True, cwd=root)
    if done.returncode == 0:
        return
    lines = done.stdout.strip().splitlines()
    if done.returncode == 1 and lines:
        fault = json.loads(lines[-1])
        raise RuntimeFault(fault["message"], fault["help"], fault["exit_code"])
    raise RuntimeError(f"the second half ended with {done.returncode}:\n{done.stderr}")


def main() -> None:
    """The process of the second half: a task on standard input, a fault on standard output."""
    task: Mapping[str, Any] = json.load(sys.stdin)
    try:
        resume(Program(**task["program"]), Path(task["run"]))
    except RuntimeFault as fault:
        print(json.dumps({"message": fault.message, "help": fault.help, "exit_code": fault.exit_code}))
        sys.exit(1)


def _search_path() -> list[str]:
    return [path for path in sys.path if path]


def _compare_checkpoints(whole: Path, halves: Path) -> tuple[str, ...]:
    """Compare the hashes of the last checkpoints' tensors; returns the names of the files."""
    found = [choose_checkpoint(run / "checkpoints", None) for run in (whole, halves)]
    commits = [json.loads((one.path / COMMIT).read_bytes())["files"] for one in found if one is not None]
    names = tuple(name for name in commits[0] if name.endswith(".safetensors"))
    for name in names:
        if commits[0][name] != commits[1][name]:
            raise ProofFailed(
                f"after a restart {name} is not what it is without one",
                "An operation of the model hangs on time or chance: set `deterministic = true`.",
            )
    return names


def _compare_metrics(whole: Path, halves: Path) -> int:
    logs = [[_without_speed(line) for line in (run / METRICS).read_text().splitlines()] for run in (whole, halves)]
    for one, other in zip(*logs, strict=False):
        if one != other:
            raise ProofFailed(f"after a restart step {one['step']} gives {other}, without one {one}")
    if len(logs[0]) != len(logs[1]):
        raise ProofFailed(f"after a restart there are {len(logs[1])} records of metrics, without one {len(logs[0])}")
    return len(logs[0])


def _without_speed(line: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(line).items() if key not in SPEEDS}
