"""`dlspec resume`: a run that goes on exactly where it stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..api.compilation import compile_to_run, program_of
from ..api.trained import Trained
from ..runtime.errors import Refused
from .console import Console
from .run_arguments import add_run_arguments, open_told
from .training import add_device_arguments, command_text, display_of, tell_result

if TYPE_CHECKING:
    from ..runtime import Program


def add_arguments(parser: ArgumentParser) -> None:
    add_run_arguments(parser)
    parser.add_argument("--checkpoint", type=int, metavar="STEP", help="go on from the checkpoint of this step")
    add_device_arguments(parser)
    parser.set_defaults(device=None)


def run(options: Namespace, console: Console) -> int:
    trained = open_told(options.run, options, console)
    from ..api.training import sampler_of
    from ..runtime import resume
    from ..runtime.text import tokenizer_from_json

    program, texts = trained.program, {}
    if options.set:
        program, texts = _changed(trained, options.set, console)
    tokenizer = trained.record.tokenizer
    result = resume(
        program,
        options.run,
        device=options.device,
        checkpoint=options.checkpoint,
        display=display_of(console),
        texts=texts,
        command=command_text("resume"),
        trust_code=options.trust_run_code,
        sampler=sampler_of(program, tokenizer_from_json(tokenizer) if tokenizer is not None else None),
    )
    tell_result(result, console)
    return 0


def _changed(trained: Trained, overrides: list[str], console: Console) -> tuple[Program, dict[str, str]]:
    """The program of the changed spec, and the texts that say so. Raises Refused for what cannot be kept."""
    if trained.trusted:
        raise Refused("a run whose code was edited goes on as it is", "Leave --set away.")
    record = trained.record
    together = (*record.overrides, *overrides)
    artefact = compile_to_run(record.source, together, record.recipe, allow_python=trained.allow_python)
    program = program_of(artefact)
    for line in _changes(trained, program, together):
        console.note(f"changed: {line}")
    if program.model_code != trained.program.model_code:
        raise Refused(
            "a run cannot go on with another model: its weights and the state of its optimizer belong to the old one",
            "Leave the model as it was, or train a new run.",
        )
    return program, replace(record, overrides=together, settings=program.settings).texts


def _changes(trained: Trained, now: Program, overrides: Sequence[str]) -> Iterator[str]:
    """What a changed spec changes: settings by their names, then what stands in the code alone, as the spec has it."""
    then = trained.program
    before, after = _flat(then.settings), _flat(now.settings)
    named = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    for name in named:
        yield f"{name}: {before.get(name, 'not set')} -> {after.get(name, 'not set')}"
    files = [name for name, text in now.texts.items() if then.texts.get(name) != text]
    told = {name.rpartition(".")[2] for name in named}
    told |= {"length"} if told & {"steps", "epochs"} else set()  # as the spec's comparison calls them
    changes = _in_the_spec(trained, overrides) if files else ()
    in_code = [line for place, line in changes if place.rpartition(".")[2] not in told]
    yield from in_code or ([] if named else [f"the text of {name}" for name in files])


def _in_the_spec(trained: Trained, overrides: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each change in meaning: where it is in the recipe, and what it says."""
    from ..compiler.diff import compare
    from ..compiler.pipeline import analyse

    record = trained.record
    before, after = (
        analyse(record.source, given, allow_python=trained.allow_python) for given in (record.overrides, overrides)
    )
    for change in compare(before, after, (record.recipe, record.recipe)).changes:
        if change.section in ("constants", "train") and not change.follows:
            yield change.place, f"{change.place}: {change.text}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
