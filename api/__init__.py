"""What a program calls: specs checked and compiled, models trained, loaded and exported.

Nothing here prints, reads the command line, or leaves global state changed; importing it loads no framework. A spec is
given by its path, or as a text (what has a line break is a text; data files are then looked for in the current folder).

    for finding in check("gpt.dlspec"):
        print(finding.severity, finding.message)
    run = train("digits.dlspec", "runs/first").run
    model = load(run)                  # an nn.Module in evaluation
    export(run, "models")              # proved, or nothing is written

Errors: `SpecError`, with its `diagnostics`, where a spec is wrong; `RuntimeFault`, with `message`, `help` and
`exit_code`, where data, a run or the machine is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.depth import room_for_depth
from ..grammar.diagnostics import Diagnostic, SpecError
from ..runtime.errors import RuntimeFault

if TYPE_CHECKING:
    from torch import nn

    from ..compiler.pipeline import Artefact
    from ..runtime import Display
    from ..runtime.sessions import Result

__all__ = ["Diagnostic", "RuntimeFault", "SpecError", "check", "compile", "export", "load", "train"]


def check(source: str | Path, *, set: Sequence[str] = (), allow_python: bool = False) -> list[Diagnostic]:
    """All findings of a spec, in source order: errors, warnings and notes. An empty list: nothing is wrong.

    `set` are overrides, `name=value`, as `--set` takes them. `allow_python`, here and below, runs the files with layers
    written in Python that the spec imports; without it they are refused. Raises RuntimeFault only where the file
    cannot be read.
    """
    from ..compiler.pipeline import analyse
    from .sources import as_source

    try:
        return analyse(as_source(source), set, allow_python=allow_python).diagnostics
    except SpecError as error:
        return error.diagnostics


def compile(
    source: str | Path, *, set: Sequence[str] = (), recipe: str | None = None, allow_python: bool = False
) -> Artefact:
    """The emitted PyTorch of a spec: `artefact.files` maps file names to texts.

    `recipe` is the recipe to emit, the last of the file where it is left out. Raises SpecError, RuntimeFault.
    """
    from ..compiler.pipeline import compile as emit
    from .sources import as_source

    return emit(as_source(source), set, recipe, allow_python=allow_python)


@room_for_depth()
def train(
    source: str | Path,
    run: str | Path | None = None,
    *,
    set: Sequence[str] = (),
    recipe: str | None = None,
    device: str = "auto",
    display: Display | None = None,
    allow_python: bool = False,
) -> Result:
    """Train a spec's model into a new run directory (`runs/<name>-<n>` where none is given), from its first step.

    `device` is auto (a GPU where there is one), cpu or cuda. `display` is told of every step; without one nothing is
    shown. The result has the run's path, the steps done, and the last validation. Raises SpecError where the spec is
    wrong, or asks for what this version has not; RuntimeFault, among them Diverged, DiskFull and Stopped.
    """
    from .sources import as_source
    from .training import prepare_training, start_training

    given = as_source(source)
    base = Path(given.name).parent
    path = None if run is None else Path(run)
    prepared = prepare_training(given, base, set=set, recipe=recipe, run=path, device=device, allow_python=allow_python)
    return start_training(prepared, device=device, display=display, command="dlspec.train")


@room_for_depth()
def load(
    run: str | Path, *, checkpoint: int | None = None, device: str = "cpu", allow_python: bool = False
) -> nn.Module:
    """The trained model of a run, in evaluation: of its newest checkpoint, or of that of a step.

    The model's code is compiled anew from what the run was made from; nothing in the directory is executed. Raises
    RuntimeFault where the run is damaged, edited, or has no such checkpoint.
    """
    from ..runtime import load_model
    from .trained import open_run

    trained = open_run(Path(run), allow_python=allow_python)
    return load_model(trained.program, Path(run), checkpoint, device=device)


@room_for_depth()
def export(
    run: str | Path,
    directory: str | Path,
    *,
    formats: Sequence[str] | None = None,
    checkpoint: int | None = None,
    proof: bool = True,
    allow_python: bool = False,
) -> dict[str, Any]:
    """Write a trained model as files that need nothing of dlspec, each proved equal to it; the report of the proof.

    `formats` are "onnx" and "torchscript"; left out, it is what the spec's export section says, or both. Where a proof
    fails nothing is written, and ProofFailed is raised; RuntimeFault for all else.
    """
    from .export_files import chosen_files, export_files
    from .trained import open_run

    trained = open_run(Path(run), allow_python=allow_python)
    files = chosen_files(trained, None if formats is None else list(formats))
    return export_files(trained, files, Path(directory), checkpoint=checkpoint, weights=None, proved=proof)
