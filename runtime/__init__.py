"""Runs what the compiler emits: data, training, checkpoints, evaluation. Knows neither the grammar nor the compiler.

Program(name, model_code, recipe_code, settings)      an artefact as something that runs
train(program, data_base, run) -> Result              into a new run directory
resume(program, run) -> Result                        goes on exactly where a run stopped
evaluate(program, run, split) -> {name: value}        loss and metrics over a whole split
verify_resume(program, data_base, steps) -> Proof     that a restart changes nothing
verify_run(run) -> Run                                that a run directory is what was written; its manifest and texts
load_model(program, run, checkpoint) -> nn.Module     the trained model, in evaluation
open_display(mode) -> Display                         what a person, or a program, sees of a training
next_run_path(name) -> Path                           runs/<name>-<n>
RuntimeFault and its kinds                            all that users can cause or meet, with exit codes

Loaded on first use: what needs no PyTorch does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .display import Display, Quiet, open_display
    from .errors import DiskFull, Diverged, ProofFailed, Refused, RuntimeFault, Stopped
    from .evaluation import evaluate, load_model
    from .program import Program
    from .restart import Proof, verify_resume
    from .rundir import Run, next_run_path, verify_run
    from .sessions import Result, resume, train

_HOMES = {
    **dict.fromkeys(("Display", "Quiet", "open_display"), "display"),
    **dict.fromkeys(("Diverged", "DiskFull", "ProofFailed", "Refused", "RuntimeFault", "Stopped"), "errors"),
    **dict.fromkeys(("evaluate", "load_model"), "evaluation"),
    "Program": "program",
    **dict.fromkeys(("Run", "next_run_path", "verify_run"), "rundir"),
    **dict.fromkeys(("Result", "resume", "train"), "sessions"),
    **dict.fromkeys(("Proof", "verify_resume"), "restart"),
}
__all__ = [
    "DiskFull",
    "Display",
    "Diverged",
    "Program",
    "Proof",
    "ProofFailed",
    "Quiet",
    "Refused",
    "Result",
    "Run",
    "RuntimeFault",
    "Stopped",
    "evaluate",
    "load_model",
    "next_run_path",
    "open_display",
    "resume",
    "train",
    "verify_resume",
    "verify_run",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)
