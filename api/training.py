"""A spec trained into a run directory that says where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..grammar.diagnostics import Diagnostic
from ..grammar.source import Source
from ..runtime.errors import Refused
from .compilation import program_of
from .kernel_choice import compile_for_device
from .record import Record

if TYPE_CHECKING:
    from torch import nn

    from ..runtime import Display, Program
    from ..runtime.data import Data
    from ..runtime.sessions import Result
    from ..runtime.text import Tokenizer

SAMPLE_TOKENS = 200
SAMPLE_TEMPERATURE = 0.8


@dataclass(frozen=True)
class Prepared:
    """A training that only has to be started. `warnings` are what the compiler had to say, `without_kernels` what runs
    as PyTorch has it beside kernels (`Artefact`), `no_kernels` why a GPU gets none at all."""

    program: Program
    record: Record
    data: Data
    base: Path
    run: Path
    warnings: tuple[Diagnostic, ...]
    without_kernels: Mapping[str, str]
    no_kernels: str


def prepare_training(
    source: Source,
    base: Path,
    *,
    set: Sequence[str] = (),
    recipe: str | None = None,
    run: Path | None = None,
    device: str = "auto",
    allow_python: bool = False,
    tiles: Mapping[str, Any] = MappingProxyType({}),
) -> Prepared:
    """Compile a spec for a device and open its data; files are relative to `base`. Writes nothing.

    `tiles` are tables of tiles for its kernels. Raises what `compile_for_device` raises, DataError, and Refused where
    there is something at `run` already, or tiles and no kernels to have them.
    """
    settled = compile_for_device(source, set, recipe, device=device, allow_python=allow_python, tiles=tiles)
    artefact = settled.artefact
    if tiles and not artefact.kernels:
        raise Refused("there are tiles, and no kernels to have them", "Say `--kernels triton` too, or leave them out.")
    from ..runtime import next_run_path
    from ..runtime.metadata import class_names, picture_size
    from ..runtime.rundir import require_new
    from ..runtime.table_columns import columns_of

    program = program_of(artefact)
    place = run or next_run_path(program.name)
    require_new(place)
    data = open_program_data(program, base)
    record = Record(
        name=Path(source.name).name,
        text=source.text,
        imports=artefact.imports,
        overrides=settled.overrides,
        tiles=tiles,
        recipe=program.options.recipe,
        settings=program.settings,
        tokenizer=data.tokenizer.to_json() if data.tokenizer is not None else None,
        classes=class_names(program.options, data.fields),
        columns=columns_of(program.options, data.fields),
        picture=picture_size(program.options, data),
    )
    warnings = tuple(d for d in artefact.diagnostics if d.severity == "warning")
    without = artefact.without_kernels
    return Prepared(program, record, data, base, place, warnings, without, settled.reason)


def start_training(
    prepared: Prepared, *, device: str = "auto", display: Display | None = None, command: str = ""
) -> Result:
    """Train from the first step. Raises what `runtime.train` raises."""
    from ..runtime import train

    return train(
        prepared.program,
        prepared.base,
        prepared.run,
        device=device,
        display=display,
        texts=prepared.record.texts,
        command=command,
        open_data=opened(prepared.data),
        sampler=sampler_of(prepared.program, prepared.data.tokenizer),
    )


def open_program_data(program: Program, base: Path) -> Data:
    """The data of a program; files are relative to `base`. Raises DataError."""
    from ..runtime.data import open_data

    options = program.options
    return open_data(dict(options.data), base=base, seed=options.seed)


def opened(data: Data) -> Callable[..., Data]:
    """For what would open the data itself."""
    return lambda *_, **__: data


def sampler_of(program: Program, tokenizer: Tokenizer | None) -> Callable[[nn.Module, str], str] | None:
    """What writes the samples that a recipe asks for; None where the data has no tokenizer."""
    if tokenizer is None:
        return None
    from ..runtime.generate import generate
    from ..runtime.metadata import Metadata
    from ..runtime.torch_session import TorchSession

    options = program.options
    metadata = Metadata(
        __version__, "", options.inputs, options.outputs, options.limits, tokenizer, least=options.least
    )

    def sample(model: nn.Module, prompt: str) -> str:
        session = TorchSession(metadata, model)
        pieces = generate(
            session.next_logits,
            tokenizer,
            prompt,
            SAMPLE_TOKENS,
            SAMPLE_TEMPERATURE,
            seed=options.seed,
            context=session.context,
        )
        return prompt + "".join(pieces)

    return sample
