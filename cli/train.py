"""`dlspec train`: a model trained from its first step into a new run directory."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from .compilation import compile_to_run, program_of
from .console import Console
from .run_record import Record
from .spec_file import read_source
from .training import (
    add_device_arguments,
    command_text,
    display_of,
    open_program_data,
    opened,
    sampler_of,
    tell_plan,
    tell_result,
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a .dlspec file")
    parser.add_argument("--recipe", metavar="NAME", help="the recipe to train by (the last of the file)")
    parser.add_argument("--run", metavar="DIR", type=Path, help="the new run directory (runs/<name>-<n>)")
    parser.add_argument("--dry-run", action="store_true", help="open the data, say what would be done, and do nothing")
    add_device_arguments(parser)


def run(options: Namespace, console: Console) -> int:
    source = read_source(options.file)
    artefact = compile_to_run(source, options.set, options.recipe, console)
    from ..runtime import next_run_path, train
    from ..runtime.metadata import class_names
    from ..runtime.preparation import open_fitting_data
    from ..runtime.rundir import require_new

    program = program_of(artefact)
    place = options.run or next_run_path(program.name)
    require_new(place)
    base = Path(options.file).parent
    data = open_program_data(program, base)
    if options.dry_run:
        open_fitting_data(program, base, opened(data), display_of(console))
        tell_plan(program, data, options, console)
        return 0
    record = Record(
        name=Path(options.file).name,
        text=source.text,
        overrides=tuple(options.set),
        recipe=program.options.recipe,
        settings=program.settings,
        tokenizer=data.tokenizer.to_json() if data.tokenizer is not None else None,
        classes=class_names(program.options, data.fields),
    )
    result = train(
        program,
        base,
        place,
        device=options.device,
        display=display_of(console),
        texts=record.texts,
        command=command_text("train"),
        open_data=opened(data),
        sampler=sampler_of(program, data.tokenizer),
    )
    tell_result(result, console)
    return 0
