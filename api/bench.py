"""A spec measured: its kernels beside what else there is, and whole updates beside those of its plain PyTorch form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..grammar.diagnostics import Diagnostic
from ..grammar.source import Source
from ..runtime.errors import Refused, RuntimeFault
from .compilation import compile_to_run, program_of

if TYPE_CHECKING:
    import torch

    from ..compiler.pipeline import Artefact
    from ..runtime import Program
    from ..runtime.bench.kernels import UseMeasured
    from ..runtime.bench.step import Step
    from ..runtime.bench.tune import Part, Tunable, Tuned
    from ..runtime.bench.use import Use
    from ..runtime.data import Data


@dataclass(frozen=True)
class Emission:
    """The model with its kernels (`kernels` is "triton") or without ("torch"), as it is or under torch.compile."""

    kernels: str
    compiled: bool
    step: Step | None
    failed: str = ""
    """Why there is no figure."""


class Bench:
    """A spec with its data, ready to be measured on a device.

    Raises what `compile_to_run` raises, DataError, and Refused where there is no such device or the data does not fit.
    """

    def __init__(
        self,
        source: Source,
        base: Path,
        *,
        set: Sequence[str] = (),
        recipe: str | None = None,
        kernels: str = "triton",
        device: str = "cuda",
        allow_python: bool = False,
    ) -> None:
        def emitted(word: str) -> Artefact:
            return compile_to_run(source, set, recipe, allow_python=allow_python, kernels=word)

        plain = emitted("torch")
        self.device = _device(device)
        if kernels == "auto":
            kernels = "torch" if _without_kernels(self.device) else "triton"
        self.artefacts = {"torch": plain} if kernels == "torch" else {kernels: emitted(kernels), "torch": plain}
        self.program = program_of(plain)
        self.warnings: tuple[Diagnostic, ...] = tuple(d for d in plain.diagnostics if d.severity == "warning")
        self.data: Data = _fitting_data(self.program, base)
        self.dims = _dims(self.program, self.data)

    @property
    def unit(self) -> str:
        """What speed is counted in: tokens or samples."""
        from ..runtime.loop import unit

        return unit(self.program.options)

    @property
    def conditions(self) -> dict[str, Any]:
        """What the figures were measured under, as JSON."""
        from ..runtime.bench.measure import versions

        options = self.program.options
        return {
            "device": str(self.device),
            "versions": versions(self.device),
            "batch": options.batch,
            "accumulate": options.accumulate,
            "dims": self.dims,
            "precision": options.precision,
            "deterministic": options.deterministic,
        }

    def kernels(self) -> list[UseMeasured]:
        """Each kernel of the spec; none where it has none."""
        from ..runtime.bench.step import measure_kernels
        from ..runtime.bench.use import Entry

        found: list[UseMeasured] = []
        for artefact in self.artefacts.values():
            for file in artefact.kernels:
                entries = {name: Entry(one.kind, vars(one)) for name, one in artefact.variants.items()}
                found += measure_kernels(program_of(artefact), self.data, self.device, entries, file)
        return found

    def tune(self) -> list[tuple[Use, list[Tuned]]]:
        """Tiles tried for each kernel, and those that were best.

        Raises Refused where kernels do not run, for which there is nothing to try.
        """
        from ..runtime.bench.step import tune_kernels
        from ..runtime.bench.use import Entry

        reason = _without_kernels(self.device)
        if reason:
            raise Refused(f"there is nothing to tune: {reason}", "Kernels are tuned on the GPU that they will run on.")
        found: list[tuple[Use, list[Tuned]]] = []
        for artefact in self.artefacts.values():
            for file in artefact.kernels:
                entries = {name: Entry(one.kind, vars(one)) for name, one in artefact.variants.items()}
                tables = tunables(artefact, file)
                found += tune_kernels(program_of(artefact), self.data, self.device, entries, file, tables)
        return found

    def steps(self) -> Iterator[Emission]:
        """Updates of each emission: as it is, and on a GPU under torch.compile."""
        for compiled in (False, True) if self.device.type == "cuda" else (False,):
            for word, artefact in self.artefacts.items():
                yield self._emission(word, artefact, compiled=compiled)

    def _emission(self, word: str, artefact: Artefact, *, compiled: bool) -> Emission:
        import torch

        from ..runtime.bench.kernels import first_line
        from ..runtime.bench.step import measure_step
        from ..runtime.device import device_faults_are_told

        flops = forward_flops(artefact, self.dims)
        compile = "inductor" if compiled else None
        with device_faults_are_told():
            try:
                step = measure_step(program_of(artefact), self.data, self.device, flops=flops, compile=compile)
            except torch.OutOfMemoryError:
                return Emission(word, compiled, None, "out of memory")
            except Exception as error:
                # Not every model can be compiled, which is what is found then.
                if not compiled or isinstance(error, RuntimeFault):
                    raise
                return Emission(word, compiled, None, f"{type(error).__name__}: {first_line(error)}")
            return Emission(word, compiled, step)


def tunables(artefact: Artefact, file: str) -> dict[str, list[Tunable]]:
    """The tables of tiles of each kernel in a file, by the name of what a model calls."""
    from ..compiler.backends.triton.numbering import numbered
    from ..compiler.backends.triton.tiles import candidates, cells, tables_in
    from ..runtime.bench.tune import Tunable

    own = tables_in(artefact.kernels[file])
    found: dict[str, list[Tunable]] = {}
    for entry, variant in artefact.variants.items():
        number = next(n for n in range(1, len(artefact.variants) + 1) if numbered(variant.entry, n) == entry)
        for table, part in variant.tables.items():
            name = numbered(table, number)
            name = artefact.merged.get(name, name)
            tries = {keys: candidates(name, keys, cell) for keys, cell in cells(own[name])}
            found.setdefault(entry, []).append(Tunable(name, cast("Part", part), tries))
    return found


def tuned_tables(found: Iterable[tuple[Use, list[Tuned]]]) -> dict[str, dict[str, Any]]:
    """The tables that are to be other than those that come with dlspec, as JSON has them."""
    tables: dict[str, dict[str, Any]] = {}
    for _, tuned in found:
        for one in tuned:
            if one.after != one.before:
                inner = tables.setdefault(one.table, {})
                for key in one.keys[:-1]:
                    inner = inner.setdefault(str(key), {})
                inner[str(one.keys[-1])] = list(one.after)
    return tables


def forward_flops(artefact: Artefact, dims: Mapping[str, int]) -> int:
    """Of one example, open dims as given, else at their limits; of what a causal mask hides nothing counts."""
    from ..compiler.backends.plan import Training, plan

    return sum(layer.flops - layer.hidden for layer in plan(artefact.graph, Training(dims=dims)).layers)


def _fitting_data(program: Program, base: Path) -> Data:
    from ..runtime import Quiet
    from ..runtime.preparation import open_fitting_data

    return open_fitting_data(program, base, None, Quiet())


def _dims(program: Program, data: Data) -> dict[str, int]:
    from ..runtime.bench.step import dims_of_first_batch

    return dims_of_first_batch(program, data)


def _without_kernels(device: torch.device) -> str:
    from ..runtime.device import without_kernels

    return without_kernels(device)


def _device(name: str) -> torch.device:
    from ..runtime.device import choose_device

    try:
        return choose_device(name)
    except Refused as refused:
        if name != "cuda":
            raise
        help = "`--device cpu` measures the plain forms: the time of a step, tokens a second."
        raise Refused(f"bench needs a GPU: {refused.message}", help) from refused
