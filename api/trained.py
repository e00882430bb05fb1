"""A run directory opened for use: compiled again from its spec, and held against its copies of the code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .. import __version__
from ..grammar.diagnostics import SpecError
from ..runtime.errors import Refused
from .compilation import program_of
from .record import Record, read_record
from .tiles import fitting_tiles

if TYPE_CHECKING:
    from ..compiler.pipeline import Artefact
    from ..runtime import Program, Run
    from ..runtime.metadata import Metadata

DIFF_LINES = 40


@dataclass(frozen=True)
class Trained:
    """`program` is what runs; `artefact` is None where only the copies in the run are left of it (`trusted`)."""

    run: Run
    record: Record
    program: Program
    artefact: Artefact | None
    trusted: bool
    allow_python: bool = False


def open_run(path: Path, *, trust_code: bool = False, allow_python: bool = False) -> Trained:
    """The run at `path`, its program compiled anew. Nothing in the run is executed unless `trust_code` says so, or
    `allow_python` for layers written in Python: then the run's own copy of them is.

    Raises Refused where the run is damaged, from a newer dlspec, or its code is not what its spec gives: then with the
    difference.
    """
    from ..runtime import Program, verify_run

    run = verify_run(path, trust_code=True)  # whether the code was edited is looked at below, line by line
    record = read_record(run.texts)
    _require_python(run, record, allowed=allow_python, trusted=trust_code)
    artefact, failure = _compiled(record, allow_python=allow_python)
    copies = {name: text for name, text in run.texts.items() if name.endswith(".py")}
    if artefact is not None:
        program = program_of(artefact)
        if program.texts == copies and dict(program.settings) == dict(record.settings):
            return Trained(run, record, program, artefact, trusted=False, allow_python=allow_python)
        failure = "\n".join(_differences(program.texts, copies))
    if not trust_code:
        raise _refusal(path, record, failure)
    name = record.name.removesuffix(".dlspec")
    emitted = _copy(copies, f"{name}.py", path), _copy(copies, f"{name}_recipe.py", path)
    beside = {file: text for file, text in copies.items() if file not in (f"{name}.py", f"{name}_recipe.py")}
    program = Program(name, *emitted, record.settings, beside)
    return Trained(run, record, program, artefact, trusted=True, allow_python=allow_python)


def metadata_of(trained: Trained) -> Metadata:
    """What a model that was trained says about itself."""
    from ..runtime.metadata import Metadata
    from ..runtime.picture_steps import preparation_of
    from ..runtime.text import tokenizer_from_json

    options, record = trained.program.options, trained.record
    return Metadata(
        version=__version__,
        spec_sha256=sha256(record.text.encode()).hexdigest(),
        inputs=options.inputs,
        outputs=options.outputs,
        limits=options.limits,
        least=options.least,
        tokenizer=tokenizer_from_json(record.tokenizer) if record.tokenizer is not None else None,
        classes=record.classes,
        columns=record.columns,
        pictures=preparation_of(options.data, record.picture),
    )


def _require_python(run: Run, record: Record, *, allowed: bool, trusted: bool) -> None:
    """Layers written in Python run only where that was said again, and only as they were when the run was trained."""
    for path, digest in record.python.items():
        name = PurePosixPath(path).name
        if not allowed:
            raise Refused(
                f"the model of {run.path} has layers written in Python: {name} is a program, which may do anything "
                "that you may do",
                f"Read {run.path / name}, and where you trust it say the command again with --allow-python.",
            )
        if name in run.texts and not trusted and sha256(run.texts[name].encode()).hexdigest() != digest:
            raise Refused(
                f"{run.path / name} is not the file that the run was trained with, whose sha256 is {digest}",
                "Put it back, or say --trust-run-code to run it as it is now.",
            )


def _compiled(record: Record, *, allow_python: bool) -> tuple[Artefact | None, str]:
    """The artefact, or why there is none."""
    from ..compiler.pipeline import compile

    try:
        with fitting_tiles():
            artefact = compile(
                record.source, record.overrides, record.recipe, allow_python=allow_python, tiles=record.tiles
            )
        return artefact, ""
    except (SpecError, Refused) as error:
        return None, str(error)


def _refusal(path: Path, record: Record, shown: str) -> Refused:
    if record.version != __version__:
        return Refused(
            f"{path} was made by dlspec {record.version}, and this is dlspec {__version__}, which gives other code:\n"
            f"{shown}",
            f"Use dlspec {record.version}, or say --trust-run-code to run the copy in the run.",
        )
    return Refused(
        f"the code in {path} is not what its spec gives:\n{shown}",
        "It is a copy to read, and does not run. Put it back, or say --trust-run-code to run it as it is now.",
    )


def _differences(wanted: Mapping[str, str], copies: Mapping[str, str]) -> Iterator[str]:
    """How the copies differ from what the spec gives, the first lines of it."""
    lines: list[str] = []
    for name in sorted({*wanted, *copies}):
        lines += _difference(name, wanted.get(name, ""), copies.get(name, ""))
    yield from lines[:DIFF_LINES]
    if len(lines) > DIFF_LINES:
        yield f"... and {len(lines) - DIFF_LINES} more lines"
    if not lines:
        yield "(the settings in resolved.json differ)"


def _difference(name: str, wanted: str, copy: str) -> Sequence[str]:
    titles = {"fromfile": f"{name} from the spec", "tofile": f"{name} in the run"}
    return list(unified_diff(wanted.splitlines(), copy.splitlines(), **titles, lineterm="", n=1))


def _copy(copies: Mapping[str, str], name: str, path: Path) -> str:
    if name not in copies:
        raise Refused(f"{path} holds no {name} to run", "Copy the run again from where it is whole.")
    return copies[name]
